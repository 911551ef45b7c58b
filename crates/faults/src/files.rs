//! As many open files as the system allows: each connection of the load is two of a link's, and two of the
//! ingress'.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::complain;

/// Raises our own limit, which the processes that we start inherit.
pub(crate) fn allow_all() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        complain(format_args!(
            "the limit of open files stays as it is: {error}"
        ));
    }
}
