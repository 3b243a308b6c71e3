//! The `s3` acquire method: apt starts it as `/usr/lib/apt/methods/s3` and speaks with it over
//! standard input and output.
//!
//! What it can do is said before anything else is touched: apt starts every method once only to
//! read that. Then apt's configuration is taken while the process still has one thread, so that it
//! has given up root's rights before there is anything that could keep them.
//!
//! This is the only place that writes standard output.

use std::io::{self, Read as _, Write as _};
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use apt_method_s3::check;
use apt_method_s3::config::Config;
use apt_method_s3::credentials::Sources;
use apt_method_s3::environment::Environment;
use apt_method_s3::failure::{Failure, Reason};
use apt_method_s3::fetch::Fetcher;
use apt_method_s3::helper;
use apt_method_s3::message::{Decoder, Message};
use apt_method_s3::misspelt;
use apt_method_s3::protocol::{self, Action, Event, ItemId, Protocol, Request};
use apt_method_s3::sandbox;
use futures::FutureExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How long partial files may take to be left in good order at the end.
const FAREWELL: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some(helper::ARGUMENT) => {
            let user = arguments.next();
            return exit_code(helper::run(user.as_deref(), io::stdin(), io::stdout()));
        }
        Some(helper::answer::ARGUMENT) => {
            return exit_code(helper::answer::once(io::stdin(), io::stdout()));
        }
        Some(check::ARGUMENT) => return check(arguments),
        // apt starts it without arguments.
        Some(_) => {
            eprintln!("{}", check::USAGE);
            return ExitCode::from(2);
        }
        None => {}
    }
    let mut method = Method::default();
    if say(&protocol::capabilities()).is_err() {
        return ExitCode::FAILURE;
    }
    // Everything that comes before the first item is the configuration.
    while method.waiting.is_empty() {
        let mut buffer = vec![0; 64 << 10];
        match io::stdin().read(&mut buffer) {
            Ok(0) => return ExitCode::SUCCESS,
            Ok(length) => match method.take(&buffer[..length]) {
                Ok(()) if method.configured => break,
                Ok(()) => {}
                Err(end) => return end.0,
            },
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return ExitCode::SUCCESS,
        }
    }
    let Ok(runtime) = runtime() else {
        return ExitCode::FAILURE;
    };
    let End(status) = runtime.block_on(serve(method));
    runtime.shutdown_timeout(FAREWELL);
    status
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// Says to people what apt will see.
fn check(arguments: impl Iterator<Item = String>) -> ExitCode {
    let Some(wanted) = check::Wanted::parse(arguments) else {
        eprintln!("{}", check::USAGE);
        return ExitCode::from(2);
    };
    let checked = || -> Result<bool, String> {
        let config = wanted.config()?;
        let suites = wanted.suites()?;
        let file = check::file(&config).map_err(|error| error.to_string())?;
        let sources = Arc::new(give_up_rights(config)?);
        let run = check::run(&sources, &suites, &file, io::stdout());
        let checked = runtime().and_then(|runtime| runtime.block_on(run));
        checked.map_err(|error| error.to_string())
    };
    match checked() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => exit_code(Err::<(), _>(error)),
    }
}

/// Reads all files, and then gives up the rights that it took.
fn give_up_rights(config: Config) -> Result<Sources, String> {
    let mut sources = Sources::read(config, Environment::of_process());
    sources.start_helper()?;
    sandbox::enter(sources.config())
        .map_err(|what| format!("rights cannot be given up: {what}"))?;
    Ok(sources)
}

/// Says why a helper process cannot work. Its standard output is a pipe to the one that started it.
fn exit_code<E: std::fmt::Display>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("s3: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The process is to end with this status.
struct End(ExitCode);

/// What the process knows.
#[derive(Default)]
struct Method {
    decoder: Decoder,
    protocol: Protocol,
    sources: Arc<Sources>,
    configured: bool,
    /// Diagnostics on standard error (`Debug::Acquire::s3`).
    debug: bool,
    /// Items that nobody works on yet.
    waiting: Vec<(ItemId, Request)>,
    fetcher: Option<Arc<Fetcher>>,
}

impl Method {
    /// Takes bytes of apt.
    fn take(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.decoder.push(bytes);
        while let Some(message) = self.decoder.next_message() {
            match self.protocol.handle(message) {
                None => {}
                Some(Action::Configure(message)) => self.configure(&message)?,
                Some(Action::Fetch(id, request)) => self.waiting.push((id, request)),
                Some(Action::Send(message)) => say(&message)?,
            }
        }
        Ok(())
    }

    fn configure(&mut self, message: &Message) -> Result<(), End> {
        let mut config = self.sources.config().clone();
        config.merge(message);
        self.debug = config.flag("Debug::Acquire::s3", false);
        let sources = match give_up_rights(config) {
            Ok(sources) => sources,
            Err(what) => {
                say(&protocol::refused(&what))?;
                return Err(End(ExitCode::from(sandbox::EXIT_STATUS)));
            }
        };
        for item in misspelt::unknown(sources.config()) {
            say(&protocol::has_no_effect(&item))?;
        }
        self.sources = Arc::new(sources);
        self.configured = true;
        self.fetcher = None;
        Ok(())
    }

    /// Begins to work on the items that wait.
    fn begin(&mut self, tasks: &mut JoinSet<()>, events: &mpsc::UnboundedSender<(ItemId, Event)>) {
        let fetcher = self.fetcher.get_or_insert_with(|| {
            // An item before the configuration has the environment all the same.
            if !self.configured {
                self.sources = Arc::new(Sources::read(
                    self.sources.config().clone(),
                    Environment::of_process(),
                ));
            }
            Arc::new(Fetcher::new(Arc::clone(&self.sources)))
        });
        for (id, request) in self.waiting.drain(..) {
            let (fetcher, events) = (Arc::clone(fetcher), events.clone());
            tasks.spawn(async move {
                let tell = |event| drop(events.send((id, event)));
                let fetched = AssertUnwindSafe(fetcher.fetch(&request, &tell))
                    .catch_unwind()
                    .await;
                // A defect of ours is this item's failure only.
                let broken = |_| {
                    Event::Failed(Failure::lasting(
                        Reason::Http(500),
                        "the method failed on this item: this is a defect, please report it",
                    ))
                };
                tell(fetched.unwrap_or_else(broken));
            });
        }
    }
}

/// Serves apt until it closes the pipe or interrupts.
async fn serve(mut method: Method) -> End {
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return End(ExitCode::FAILURE);
    };
    let (sender, mut input) = mpsc::channel(4);
    std::thread::spawn(move || read_input(&sender));
    let (events, mut happened) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    let end = loop {
        method.begin(&mut tasks, &events);
        let turn = tokio::select! {
            _ = interrupt.recv() => break End(ExitCode::SUCCESS),
            _ = terminate.recv() => break End(ExitCode::SUCCESS),
            bytes = input.recv() => match bytes {
                Some(bytes) => method.take(&bytes),
                None => break End(ExitCode::SUCCESS),
            },
            Some((id, event)) = happened.recv() => method.report(id, event),
            Some(_) = tasks.join_next() => Ok(()),
        };
        if let Err(end) = turn {
            break end;
        }
    };
    tasks.shutdown().await;
    end
}

impl Method {
    fn report(&mut self, id: ItemId, event: Event) -> Result<(), End> {
        if self.debug {
            eprintln!("s3: {id:?}: {event:?}");
        }
        match self.protocol.event(id, event) {
            Some(message) => say(&message),
            None => Ok(()),
        }
    }
}

/// Passes standard input on. A thread, because a pipe, a file and a terminal can all be read so,
/// and reading cannot be called off.
fn read_input(sender: &mpsc::Sender<Vec<u8>>) {
    let mut stdin = io::stdin();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match stdin.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => {
                if sender.blocking_send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Says something to apt, at once. Without apt there is nothing left to do.
fn say(message: &Message) -> Result<(), End> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(&message.to_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|_| End(ExitCode::FAILURE))
}
