//! Tells the program which compiler built it: counts of instructions depend on it.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = std::env::var("RUSTC").expect("cargo names the compiler to build scripts");
    let output = Command::new(rustc).arg("--version").output();
    let output = output.expect("the compiler that built this tells its version");
    let version = String::from_utf8_lossy(&output.stdout);
    println!("cargo::rustc-env=HARKARA_BENCH_RUSTC={}", version.trim());
    let target = std::env::var("TARGET").expect("cargo names the target to build scripts");
    println!("cargo::rustc-env=HARKARA_BENCH_TARGET={target}");
}
