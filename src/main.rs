//! The program: everything is in the library. Called `web`, it is what runs in the default container
//! (`app`), else it is `cli`.

use std::path::Path;

fn main() -> std::process::ExitCode {
    let mut args = std::env::args_os();
    match args.next().as_deref().and_then(|name| Path::new(name).file_name()) {
        Some(name) if name == "web" => learnctr::app::main(args),
        _ => learnctr::cli::main(),
    }
}
