//! The inputs that fuzzing starts from: the bodies of the simulator, documented and strange, and lifecycles.

use harkara_core::catalogue::EVENTS;
use harkara_core::durability::Durability;
use harkara_core::endpoint::EndpointName;
use harkara_core::entry::fields_of;
use harkara_core::secret::Secret;
use harkara_core::signature::sign;
use harkara_core::time::ReceivedAt;
use harkara_core::trace::TraceContext;
use harkara_simulator::{Bodies, edge_cases};

use crate::{entry, event, signature};

/// The seed and the time of the simulated bodies: the same bodies each time.
const SEED: u64 = 1;
const NOW_SECONDS: i64 = 1_790_000_000;

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A fuzz target.
pub struct Target {
    /// Its name, which is that of its file and of its property.
    pub name: &'static str,
    /// What must hold for any input.
    pub property: fn(&[u8]),
    /// Inputs to start from.
    pub seeds: Vec<Vec<u8>>,
}

/// Every fuzz target.
#[must_use]
pub fn targets() -> [Target; 4] {
    let mut made = Bodies::new(SEED, NOW_SECONDS);
    let mut bodies: Vec<Vec<u8>> = EVENTS.iter().map(|known| made.body(known.name)).collect();
    bodies.extend(edge_cases::all(&mut made).into_iter().map(|(_, body)| body));
    let lifecycles = made.lifecycles().into_iter().map(|(_, lifecycle)| {
        let bodies: Vec<Vec<u8>> = lifecycle.into_iter().map(|event| event.body).collect();
        bodies.join(&event::BODY_END)
    });
    let signed = |body: &Vec<u8>| {
        let header = sign(&Secret::new(signature::SECRETS[1]), body);
        [header.as_bytes(), body].join(&signature::HEADER_END)
    };
    let requested = |body: &Vec<u8>| {
        let headers: [&[u8]; 5] = [
            b"EventIdOf14Chr",
            b"live",
            TRACEPARENT.as_bytes(),
            b"vendor=1",
            b"1790000000123",
        ];
        [&headers[..], &[body]].concat().join(&entry::HEADER_END)
    };
    [
        Target {
            name: "signature",
            property: crate::signature,
            seeds: bodies.iter().map(signed).collect(),
        },
        Target {
            name: "event_name",
            property: crate::event_name,
            seeds: bodies.clone(),
        },
        Target {
            name: "entry",
            property: crate::entry,
            seeds: bodies
                .iter()
                .map(requested)
                .chain(bodies.iter().map(|body| written(body)))
                .collect(),
        },
        Target {
            name: "event",
            property: crate::event,
            seeds: bodies.iter().cloned().chain(lifecycles).collect(),
        },
    ]
}

/// A body as it is in a stream.
fn written(body: &[u8]) -> Vec<u8> {
    let delivery = entry::delivery(
        None,
        EndpointName::default_name(),
        TraceContext::default(),
        ReceivedAt::from_millis(NOW_SECONDS * 1000),
        body,
    );
    let fields = fields_of(&delivery, "payment.captured", Durability::Fsynced);
    fields.map(|(_, value)| value).join(&entry::HEAD_END)
}

#[cfg(test)]
mod tests {
    use super::targets;

    #[test]
    fn every_target_has_its_file() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/fuzz_targets");
        let files = std::fs::read_dir(folder).unwrap();
        let mut files: Vec<_> = files
            .map(|file| file.unwrap().path().file_stem().unwrap().to_owned())
            .collect();
        files.sort();
        let mut names = targets().map(|target| target.name);
        names.sort_unstable();
        assert_eq!(files, names);
    }

    #[test]
    fn every_property_holds_for_its_seeds_and_for_their_beginnings() {
        for target in targets() {
            assert!(target.seeds.len() > 100, "{}", target.name);
            for seed in target.seeds {
                (target.property)(&seed);
                (target.property)(&seed[..seed.len() / 2]);
            }
            (target.property)(b"");
        }
    }
}
