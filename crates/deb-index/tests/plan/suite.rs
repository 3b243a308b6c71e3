//! A suite in memory: what a store holds after a commit.

use std::collections::BTreeMap;

use bytes::Bytes;
use deb_index::{
    change::{Edit, Intent, NewIndexes, PlainIndexes, Plan, PlanError, SettingsPatch, plan},
    deb::Deb,
    digest::{Algorithm, Digests, Sha256},
    index::{
        IndexPath,
        compression::{self, Format},
        packages::Packages,
    },
    stanza::Stanza,
    suite::{
        commit::{Authorship, Commit},
        settings::Settings,
    },
};
use jiff::Timestamp;

/// A package whose file's content is `build`.
pub(crate) fn stanza(package: &str, version: &str, architecture: &str, build: &str) -> Stanza {
    let control = format!(
        "Package: {package}\nVersion: {version}\nArchitecture: {architecture}\nDescription: é\n\tcont\n"
    );
    let deb = Deb {
        control: control.into_bytes(),
        package: package.parse().unwrap(),
        version: version.parse().unwrap(),
        architecture: architecture.parse().unwrap(),
        source: None,
        warnings: Vec::new(),
        digests: Digests::of(
            &[Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256],
            build.as_bytes(),
        ),
    };
    Stanza::of_deb("main".parse().unwrap(), &deb)
}

/// What a publisher wants that has these packages and nothing else to say.
pub(crate) fn intent(stanzas: impl IntoIterator<Item = Stanza>) -> Intent {
    let settings = Settings {
        architectures: vec!["amd64".parse().unwrap(), "arm64".parse().unwrap()],
        formats: vec!["gz".to_owned(), "zst".to_owned()],
        ..Settings::default()
    };
    let additions = stanzas.into_iter().map(|stanza| Edit::Add {
        stanza,
        replace: false,
    });
    Intent(
        [Edit::Exist(settings.into())]
            .into_iter()
            .chain(additions)
            .collect(),
    )
}

pub(crate) fn for_architectures(architectures: &[&str], mut intent: Intent) -> Intent {
    let patch = SettingsPatch {
        architectures: Some(
            architectures
                .iter()
                .map(|name| name.parse().unwrap())
                .collect(),
        ),
        ..SettingsPatch::default()
    };
    intent.0.push(Edit::Set(Box::new(patch)));
    intent
}

pub(crate) fn path(architecture: &str) -> IndexPath {
    IndexPath::packages(&"main".parse().unwrap(), &architecture.parse().unwrap())
}

/// A suite in memory: what a store holds after a commit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Suite {
    pub(crate) commit: Option<Commit>,
    pub(crate) plain: PlainIndexes,
    /// Files of indexes, those of earlier commits too.
    stored: BTreeMap<Sha256, Bytes>,
}

impl Suite {
    pub(crate) fn plan(&self, intent: &Intent) -> Result<Plan, PlanError> {
        let settings = self.commit.as_ref().map(|commit| commit.settings.clone());
        let settings = settings.unwrap_or_default();
        let mut indexes = PlainIndexes::new();
        for path in intent.reads(&settings.components, &settings.architectures) {
            if let Some(plain) = self.plain.get(&path) {
                indexes.insert(path, plain.clone());
            }
        }
        plan(self.commit.as_ref(), &indexes, intent)
    }

    pub(crate) fn apply(&mut self, intent: &Intent) -> Result<bool, PlanError> {
        let plan = self.plan(intent)?;
        if plan.is_empty(self.commit.as_ref()) {
            return Ok(false);
        }
        let new = NewIndexes::build(
            &plan.indexes,
            self.commit.as_ref(),
            &plan.settings.known_formats().collect::<Vec<_>>(),
            2,
        );
        let files = new.files.into_iter();
        self.stored
            .extend(files.map(|file| (file.sha256, file.bytes)));
        self.plain.clear();
        for (path, index) in &new.indexes {
            for (extension, stored) in &index.files {
                if let (Ok(format), Some(bytes)) =
                    (extension.parse::<Format>(), self.stored.get(&stored.sha256))
                {
                    let plain = compression::decompress(format, bytes, index.size).unwrap();
                    assert_eq!(Sha256::of(&plain), index.sha256);
                    self.plain.insert(path.clone(), plain.into());
                }
            }
        }
        self.commit = Some(Commit {
            format: Commit::FORMAT,
            suite: "stable".parse().unwrap(),
            parent: self.commit.as_ref().map(|commit| commit.to_bytes().1),
            time: Timestamp::UNIX_EPOCH,
            authorship: Authorship::default(),
            requires: Vec::new(),
            settings: plan.settings,
            taken_back: Commit::taken_back_after(self.commit.as_ref(), &plan.changes),
            changes: plan.changes,
            indexes: new.indexes,
            rest: Default::default(),
        });
        Ok(true)
    }

    /// Adds packages. Whether that changed anything.
    pub(crate) fn add(&mut self, stanzas: impl IntoIterator<Item = Stanza>) -> bool {
        self.apply(&intent(stanzas)).unwrap()
    }

    pub(crate) fn set(&mut self, patch: SettingsPatch) -> bool {
        let edit = Edit::Set(Box::new(patch));
        self.apply(&Intent(vec![edit])).unwrap()
    }

    /// name_version_architecture → digest, of one architecture's index.
    pub(crate) fn packages(&self, architecture: &str) -> BTreeMap<String, Sha256> {
        let Some(plain) = self.plain.get(&path(architecture)) else {
            return BTreeMap::new();
        };
        let index = Packages::parse(plain).unwrap();
        let stanzas = index.stanzas().iter();
        let all: BTreeMap<_, _> = stanzas
            .map(|stanza| {
                let id = format!("{}_{}_{}", stanza.name, stanza.version, stanza.architecture);
                (id, stanza.sha256().unwrap())
            })
            .collect();
        assert_eq!(
            all.len(),
            index.stanzas().len(),
            "an index has each package once"
        );
        all
    }
}
