//! `debucket`, the publisher: reads the command line, sets logging up, runs the command and maps its outcome to an exit code.

use std::{error::Error as _, process::ExitCode};

use clap::Parser as _;
use debucket::{
    cli::{Cli, Command},
    error::Error,
};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(cli.output.verbose);
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_or_else(
            |source| {
                Err(Error::File {
                    path: "the asynchronous runtime".to_owned(),
                    source,
                })
            },
            |runtime| runtime.block_on(run(cli)),
        );
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(cli: Cli) -> Result<(), Error> {
    let (store, output) = (&cli.store, &cli.output);
    match cli.command {
        Command::Publish(command) => command.run(store, output).await,
        Command::List(command) => command.run(store, output).await,
        Command::Show(command) => command.run(store, output).await,
        Command::Log(command) => command.run(store, output).await,
        Command::ClientConfig(command) => command.run(store, output).await,
        Command::Key(command) => command.run(output),
    }
}

/// `RUST_LOG` wins over `--verbose`.
fn log_to_stderr(verbose: u8) {
    let default = if verbose == 0 {
        "error"
    } else {
        "debucket=info,s3_storage=info,aws_access=info,warn"
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .init();
}

/// The error, what caused it, and what to do next.
fn report(error: &Error) {
    eprintln!("error: {error}");
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Libraries like to repeat their cause in their own words.
        if !told.contains(&text) {
            eprintln!("  caused by: {text}");
            told = text;
        }
        cause = error.source();
    }
    if let Some(advice) = error.advice() {
        eprintln!("  next: {advice}");
    }
}
