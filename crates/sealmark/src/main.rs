//! The command line: parses, calls one function, prints.
//!
//! Results go to standard output, everything else to standard error. A failure is one message, once, and the exit
//! codes are those of [`error::Error::exit_code`].

mod app;
mod asking;
mod claim_flags;
mod commands;
mod compat;
mod confirm;
mod detached;
mod error;
mod flags;
mod identity_flags;
mod input;
mod kms_plugin;
mod outputs;
mod password;
mod person;
mod policy_flags;
mod predicate_policy;
mod printable;
mod progress;
mod remote_check;
mod report;
mod revocation_flags;
mod service_flags;
mod slsa_flags;
mod spelling;
mod terminal;
mod trust_flags;
mod trust_pack;
mod type_flags;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(scheme) = kms_plugin::scheme() {
        return kms_plugin::run(&scheme);
    }
    let mut terminal = terminal::Terminal::new();
    let arguments = compat::rewrite(std::env::args_os(), &terminal);
    let app = match app::parse(arguments) {
        Ok(app) => app,
        Err(app::Exit::Printed(code)) => return code,
        Err(app::Exit::Failed(error)) => return terminal.fail(&error),
    };
    if let Err(error) = terminal.configure(&app.global) {
        return terminal.fail(&error);
    }
    // One thread is enough for what one user asks for; services answer many.
    let mut runtime = match app.command {
        app::Command::Serve(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(commands::run(app, &mut terminal));
            // A blocked name lookup or a read of standard input must not keep a finished command alive.
            runtime.shutdown_background();
            result
        }
        Err(cause) => Err(error::Error::Runtime { cause }),
    };
    match result.and_then(|()| terminal.finish()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => terminal.fail(&error),
    }
}
