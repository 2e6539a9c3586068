//! Compiles the one C file of the library: see its first lines.

fn main() {
    println!("cargo:rerun-if-changed=src/landing.c");
    cc::Build::new().file("src/landing.c").warnings(true).extra_warnings(true).compile("hew_landing");
}
