//! `debucket`, the publisher: reads the command line, sets logging up, runs the command and maps its result to an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use debucket::{
    cli::Cli,
    context::Context,
    error::{Error, Role},
    printer,
    run::run,
    secrets,
};
use tracing_subscriber::{
    EnvFilter, filter::filter_fn, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// Exit code of a wrong call.
const USAGE: u8 = 2;
/// Crates whose records hold no secret.
const OWN_CRATES: [&str; 6] = [
    "aws_access",
    "deb_index",
    "debucket",
    "repo_signing",
    "repository",
    "s3_storage",
];

fn main() -> ExitCode {
    if let Err(error) = secrets::refuse(std::env::args_os()) {
        printer::report(&error, error.advice(Role::Publisher));
        return ExitCode::from(error.exit_code());
    }
    let Cli {
        command,
        store,
        output,
    } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    log_to_stderr(output.verbose);
    let context = Context::new(store, output);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(run(&context, command));
            // Without waiting for what still blocks: a file on a server that is gone, a name server.
            runtime.shutdown_background();
            result
        }
        Err(source) => Err(Error::Runtime(source)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            context.report(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// Prints the help, or what is wrong with the arguments.
fn usage(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    if error.use_stderr() {
        printer::eprint(&text);
        return ExitCode::from(USAGE);
    }
    match printer::print(text.as_bytes()) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            printer::report(&error, error.advice(Role::Publisher));
            ExitCode::from(error.exit_code())
        }
    }
}

/// `RUST_LOG` wins over `--verbose`. What other crates say in detail is left out whatever it asks for: it holds requests with their
/// tokens.
fn log_to_stderr(verbose: u8) {
    let default = if verbose == 0 {
        "error"
    } else {
        "debucket=info,repository=info,s3_storage=info,aws_access=info,warn"
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let holds_no_secret = filter_fn(|metadata| {
        let target = metadata.target();
        let crate_name = target.split_once("::").map_or(target, |(name, _)| name);
        *metadata.level() <= tracing::Level::INFO || OWN_CRATES.contains(&crate_name)
    });
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| printer::Stderr)
        .with_ansi(false)
        // Standard error may be what cannot be written.
        .log_internal_errors(false)
        .without_time()
        .finish()
        .with(holds_no_secret)
        .init();
}
