//! The shared library of a token, loaded once in a process.
//!
//! Invariant: a library is called from one thread of its own, one call after the other, and nobody waits for it longer
//! than the caller's deadline. A library that hangs takes its thread with it, never the program: the thread is not one
//! of the runtime, whose end would wait for it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::session::Session;
use tokio::sync::{Mutex, oneshot};

use super::reference::Reference;

/// Says where the module is, as for cosign.
const VARIABLE: &str = "COSIGN_PKCS11_MODULE_PATH";

/// Where distributions put modules, and folders of shared libraries where some are.
const FOLDERS: [&str; 13] = [
    "/usr/lib/x86_64-linux-gnu/pkcs11",
    "/usr/lib/aarch64-linux-gnu/pkcs11",
    "/usr/lib64/pkcs11",
    "/usr/lib/pkcs11",
    "/usr/local/lib/pkcs11",
    "/usr/lib/softhsm",
    "/usr/local/lib/softhsm",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
    "/opt/cloudhsm/lib",
];
/// Modules that many machines have, to be named to who has not said which.
const KNOWN: [&str; 6] = [
    "softhsm2",
    "opensc-pkcs11",
    "ykcs11",
    "tpm2_pkcs11",
    "cloudhsm_pkcs11",
    "p11-kit-proxy",
];

/// What the thread knows of one token.
pub(super) struct Open {
    /// For reading and signing.
    pub(super) session: Session,
    /// The user's PIN has been accepted; it holds for all sessions of this process.
    pub(super) logged_in: bool,
}

/// What the thread owns.
pub(super) struct State {
    /// The library.
    pub(super) library: Pkcs11,
    /// One session for each slot in use.
    pub(super) open: HashMap<u64, Open>,
}

type Job = Box<dyn FnOnce(&mut State) + Send>;

/// A loaded module.
pub(super) struct Module {
    path: PathBuf,
    jobs: Sender<Job>,
    stuck: AtomicBool,
    /// Held by whoever asks for a PIN, so that a person is asked once.
    pub(super) login: Mutex<()>,
}

/// All that were loaded. The lock is held while one is.
static MODULES: Mutex<BTreeMap<PathBuf, Arc<Module>>> = Mutex::const_new(BTreeMap::new());

impl Module {
    /// The module that a reference, or else the environment, names.
    pub(super) async fn of(reference: &Reference, timeout: Duration) -> Result<Arc<Self>, String> {
        let path = locate(reference, std::env::var_os(VARIABLE).map(PathBuf::from))?;
        // One library by several names is one library.
        let path = path.canonicalize().unwrap_or(path);
        let mut modules = MODULES.lock().await;
        if let Some(module) = modules.get(&path) {
            return Ok(Arc::clone(module));
        }
        let (jobs, work) = channel();
        let (ready, loaded) = oneshot::channel();
        let library = path.clone();
        let thread = std::thread::Builder::new().name("pkcs11".to_owned());
        thread
            .spawn(move || serve(&library, ready, &work))
            .map_err(|error| format!("no thread can be started: {error}"))?;
        let module = Arc::new(Self {
            path: path.clone(),
            jobs,
            stuck: AtomicBool::new(false),
            login: Mutex::new(()),
        });
        module.wait(timeout, loaded).await?;
        modules.insert(path, Arc::clone(&module));
        Ok(module)
    }

    /// Where it was loaded from.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Does `work` on the module's thread.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        timeout: Duration,
        work: impl FnOnce(&mut State) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        if self.stuck.load(Ordering::SeqCst) {
            return Err(format!(
                "the module {} has not come back from an earlier call",
                self.path.display()
            ));
        }
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |state| {
            // Nobody waits any more after the deadline.
            let _ = answer.send(work(state));
        });
        self.jobs.send(job).map_err(|_| self.died())?;
        self.wait(timeout, answered).await
    }

    async fn wait<T>(
        &self,
        timeout: Duration,
        answered: oneshot::Receiver<Result<T, String>>,
    ) -> Result<T, String> {
        match tokio::time::timeout(timeout, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(self.died()),
            Err(_) => {
                self.stuck.store(true, Ordering::SeqCst);
                Err(format!(
                    "the module {} did not come back within {} s: is the token plugged in, and is its service running? \
                     Allow more time with --timeout",
                    self.path.display(),
                    timeout.as_secs_f64()
                ))
            }
        }
    }

    fn died(&self) -> String {
        format!("the thread of the module {} has died", self.path.display())
    }
}

/// The thread: loads the library, and does one job after the other until nobody can give it any.
fn serve(path: &Path, ready: oneshot::Sender<Result<(), String>>, work: &Receiver<Job>) {
    let library = match load(path) {
        Ok(library) => library,
        Err(reason) => {
            let _ = ready.send(Err(reason));
            return;
        }
    };
    let mut state = State {
        library,
        open: HashMap::new(),
    };
    if ready.send(Ok(())).is_err() {
        return;
    }
    while let Ok(job) = work.recv() {
        job(&mut state);
    }
}

fn load(path: &Path) -> Result<Pkcs11, String> {
    let shown = path.display();
    let library = Pkcs11::new(path).map_err(|error| match error {
        Pkcs11Error::MissingSymbol(_) => format!("{shown} is a library, but not a PKCS#11 module"),
        Pkcs11Error::LibraryLoading(cause) => {
            format!("{shown} cannot be loaded as a PKCS#11 module: {cause}")
        }
        other => format!(
            "{shown} cannot be used as a PKCS#11 module: {}",
            words(&other)
        ),
    })?;
    match library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        // Something else in this process uses it, too.
        Ok(()) | Err(Pkcs11Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(library),
        Err(error) => Err(format!(
            "the module {shown} cannot be initialised: {}",
            words(&error)
        )),
    }
}

/// What a module says, short: cryptoki's texts are paragraphs of the standard.
pub(super) fn words(error: &Pkcs11Error) -> String {
    match error {
        Pkcs11Error::Pkcs11(code, function) => format!("{function} says {}", code_name(code)),
        other => sealmark_http::sanitise(&other.to_string()),
    }
}

/// `CKR_…`, which is what manuals of tokens explain.
fn code_name(code: &RvError) -> String {
    let mut name = String::from("CKR");
    for c in format!("{code:?}").chars() {
        if c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

/// The file of the module.
fn locate(reference: &Reference, variable: Option<PathBuf>) -> Result<PathBuf, String> {
    let named = |folders: &[PathBuf], name: &str| {
        let files = folders.iter().flat_map(|folder| {
            [format!("lib{name}.so"), format!("{name}.so")].map(|file| folder.join(file))
        });
        files.into_iter().find(|file| file.is_file())
    };
    let folders = FOLDERS.map(PathBuf::from);
    let path = match (&reference.module_path, &reference.module_name) {
        (Some(folder), Some(name)) if folder.is_dir() => {
            return named(std::slice::from_ref(folder), name).ok_or_else(|| {
                format!("there is neither lib{name}.so nor {name}.so in {}", folder.display())
            });
        }
        (Some(path), _) => path.clone(),
        (None, Some(name)) => {
            return named(&folders, name).ok_or_else(|| {
                format!("no lib{name}.so or {name}.so in {}: give its module-path", FOLDERS.join(", "))
            });
        }
        (None, None) => variable.ok_or_else(|| {
            let found: Vec<String> = KNOWN
                .iter()
                .filter_map(|name| named(&folders, name))
                .map(|path| path.display().to_string())
                .collect();
            let here = match found.is_empty() {
                true => String::new(),
                false => format!("; on this machine there is {}", found.join(", ")),
            };
            format!(
                "which module has the token? Give ?module-path=/PATH/MODULE.so in the URI, or {VARIABLE}{here}"
            )
        })?,
    };
    let shown = path.display();
    match path.metadata() {
        _ if !path.is_absolute() => Err(format!("the module's path {shown} is not absolute")),
        Ok(metadata) if metadata.is_dir() => Err(format!(
            "{shown} is a folder: give the module's file, or module-name, too"
        )),
        Ok(_) => Ok(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(format!("there is no module {shown}"))
        }
        Err(error) => Err(format!("the module {shown} cannot be read: {error}")),
    }
}
