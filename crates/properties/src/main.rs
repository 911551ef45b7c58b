//! Writes the seeds of each fuzz target to its own subfolder of the given folder.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let corpus = std::env::args_os()
        .nth(1)
        .ok_or("usage: harkara-fuzz-seeds FOLDER")?;
    for target in harkara_properties::targets() {
        let folder = PathBuf::from(&corpus).join(target.name);
        fs::create_dir_all(&folder)?;
        for (number, seed) in target.seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:03}")), seed)?;
        }
    }
    Ok(())
}
