//! The command line.

fn main() -> std::process::ExitCode {
    switchboard::cli::main()
}
