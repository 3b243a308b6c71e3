//! `debucket`, the publisher: reads the command line, sets logging up, runs the command and maps its result to an exit code.

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};
use debucket::{
    cli::Cli,
    context::Context,
    error::{Error, Role},
    failure::{Failure, asks_for_json},
    given::Given,
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
        return fail(&error);
    }
    let (cli, given) = match parse() {
        Ok(parsed) => parsed,
        Err(error) => return usage(&error),
    };
    let Cli {
        command,
        store,
        output,
    } = cli;
    log_to_stderr(output.verbose);
    let context = Context::new(store, output, &given);
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

/// The arguments, and those of them that printed commands repeat.
fn parse() -> Result<(Cli, Given), clap::Error> {
    let mut program = Cli::command();
    let matches = program.try_get_matches_from_mut(std::env::args_os())?;
    let cli = Cli::from_arg_matches(&matches);
    let cli = cli.map_err(|error| error.format(&mut program))?;
    Ok((cli, Given::of(program, &matches)))
}

/// Ends with an error that came up before the arguments were parsed.
fn fail(error: &Error) -> ExitCode {
    let failure = Failure::new(error, error.advice(Role::Publisher));
    failure.eprint();
    if asks_for_json(std::env::args_os()) {
        failure.print();
    }
    ExitCode::from(error.exit_code())
}

/// Prints the help, or what is wrong with the arguments.
fn usage(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    if error.use_stderr() {
        printer::eprint(&text);
        if asks_for_json(std::env::args_os()) {
            Failure::of_call(error, USAGE).print();
        }
        return ExitCode::from(USAGE);
    }
    match printer::print(text.as_bytes()) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
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
