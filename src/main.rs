//! The `runbook` program.

fn main() {
    std::process::exit(runbook::cli::main());
}
