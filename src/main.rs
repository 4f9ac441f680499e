//! The program: everything is in the library. By another name it is another part of it: `web` is what runs in
//! the default container (`app`), and the child side of a session and the page's process have names of their own.

use std::path::Path;

fn main() -> std::process::ExitCode {
    let args: Vec<String> = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    match args.first().and_then(|name| Path::new(name).file_name()) {
        Some(name) if name == "web" => learnctr::app::main(std::env::args_os().skip(1)),
        Some(name) if name == learnctr::kernel::spawn::CHILD => learnctr::engine::child::main(&args),
        Some(name) if name == learnctr::kernel::web::WEB => learnctr::web::process::main(&args),
        _ => learnctr::cli::main(),
    }
}
