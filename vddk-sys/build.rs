//! Makes the bindings afresh when the feature `buildtime-bindgen` asks for it.
//!
//! The default build uses the committed `src/bindings.rs` and needs neither libclang nor VMware's kit.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "buildtime-bindgen")]
    generate::bindings();
}

#[cfg(feature = "buildtime-bindgen")]
mod generate {
    use std::{env, path::PathBuf};

    /// Reads `wrapper.h` against our header, or a real kit's where `VDDK_INCLUDE_DIR` is set.
    pub(super) fn bindings() {
        println!("cargo:rerun-if-changed=wrapper.h");
        println!("cargo:rerun-if-env-changed=VDDK_INCLUDE_DIR");
        let include = env::var("VDDK_INCLUDE_DIR").unwrap_or_else(|_| "include".to_owned());
        println!("cargo:rerun-if-changed={include}/vixDiskLib.h");
        let out =
            PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("bindings.rs");
        bindgen::builder()
            .header("wrapper.h")
            .clang_arg(format!("-I{include}"))
            // Layouts and constants only: functions are loaded at run time (see symbols.rs).
            .allowlist_type("VixDiskLib.*|VixError")
            .allowlist_var("VIX_.*|VIXDISKLIB_.*")
            .ignore_functions()
            // A newer library may return a value we do not know, so never a Rust enum.
            .newtype_enum("VixDiskLib(Cred|Spec|Disk|Adapter)Type")
            .prepend_enum_name(false)
            .ctypes_prefix("::core::ffi")
            .layout_tests(true)
            .merge_extern_blocks(true)
            .generate_comments(false)
            .generate()
            .expect("bindgen reads the header; is libclang installed, and VDDK_INCLUDE_DIR right?")
            .write_to_file(&out)
            .expect("the build folder is writable");
    }
}
