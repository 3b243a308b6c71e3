//! `debucket`, the publisher: reads the command line, sets logging up, runs the command and maps its result to an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use debucket::{cli::Cli, context::Context, error::Error, run::run};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let Cli {
        command,
        store,
        output,
    } = Cli::parse();
    log_to_stderr(output.verbose);
    let context = Context::new(store, output);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(&context, command)),
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

/// `RUST_LOG` wins over `--verbose`.
fn log_to_stderr(verbose: u8) {
    let default = if verbose == 0 {
        "error"
    } else {
        "debucket=info,repository=info,s3_storage=info,aws_access=info,warn"
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .init();
}
