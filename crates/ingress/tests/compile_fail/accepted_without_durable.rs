use harkara_core::durability::Durability;
use harkara_ingress::answer::accepted;
use harkara_ingress::durable::Durable;
use harkara_streams::append::AppendedEntry;

fn main() {
    accepted();
    accepted(Durability::Fsynced);
    accepted(Durable(Durability::Fsynced));
    accepted(AppendedEntry(Durability::Fsynced).into());
}
