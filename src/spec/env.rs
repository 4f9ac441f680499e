//! What does the process find in its environment? The image's variables, then `--env-file`'s, then `-e`'s;
//! the last to name a variable wins, in the first one's place.
//!
//! Next: `default`.

use super::{Error, Options};

/// What Docker sets where an image says nothing.
pub const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub fn environment(
    options: &Options,
    image: Vec<String>,
    hostname: Option<&str>,
) -> Result<Vec<String>, Error> {
    let hosts = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut env = image;
    env.push(format!("HOSTNAME={}", hostname.map_or_else(hosts, str::to_owned).trim()));
    if options.process.tty {
        env.push("TERM=xterm".to_owned());
    }
    for file in &options.process.env_file {
        let at = |line: usize| format!("--env-file {}, line {line}", file.display());
        let text = super::read(file)
            .and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other))
            .map_err(|error| Error::new(at(1), error.to_string(), "a file of NAME=VALUE lines"))?;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_start();
            if !line.is_empty() && !line.starts_with('#') {
                set(&mut env, line, &at(number + 1))?;
            }
        }
    }
    for variable in &options.process.env {
        set(&mut env, variable, "--env")?;
    }
    Ok(env)
}

/// Set one variable; one with no `=` is copied from here, and left out if it is not set here.
fn set(env: &mut Vec<String>, text: &str, at: &str) -> Result<(), Error> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, std::env::var(text).ok()),
    };
    if name.is_empty() || name.contains(char::is_whitespace) || text.contains('\0') {
        return Err(Error::new(at, format!("{text:?} names no variable"), "NAME=VALUE, such as COLOR=blue"));
    }
    let known = env.iter().position(|known| known.split('=').next() == Some(name));
    match (known.and_then(|at| env.get_mut(at)), value) {
        (Some(place), Some(value)) => *place = format!("{name}={value}"),
        (None, Some(value)) => env.push(format!("{name}={value}")),
        (_, None) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_stands_in_the_first_one_s_place() {
        let mut env = vec!["A=1".to_owned(), "AB=2".to_owned()];
        for text in ["C=", "A=x=y", "LEARNCTR_NOT_SET_HERE"] {
            set(&mut env, text, "--env").unwrap();
        }
        assert_eq!(env, ["A=x=y", "AB=2", "C="]);
        for text in ["=1", "", "A B=1", "A=\0"] {
            assert!(set(&mut env, text, "--env").is_err(), "{text:?}");
        }
        assert_eq!(env.len(), 3);
    }
}
