//! The embedded server with a bucket of the name that Terraform gave it: the bucket's policy, a publisher and a reader with
//! theirs, all as Terraform rendered them and all enforced. What they ask for is recorded by the server.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use dev_s3::{AccessKey, DevS3, Grants, Operation, Policy};

use super::{
    attempts::Intruder,
    first_boot::Device,
    metadata::Metadata,
    policies::{Policies, Request},
    stage::{HEAD, PACKAGE, Stage},
};
use crate::{
    apt_root::AptRoot,
    e2e::world::expect_installed,
    process,
    store::{Keys, Store},
};

/// The server and who uses it.
pub(super) struct World<'a> {
    stage: &'a Stage<'a>,
    policies: &'a Policies,
    store: Store,
    ca_bundle: PathBuf,
    publisher: Keys,
    reader: Keys,
}

impl<'a> World<'a> {
    /// Starts it with nothing in the bucket.
    pub(super) fn start(stage: &'a Stage<'a>, policies: &'a Policies) -> Result<Self> {
        // The bucket's policy wants TLS.
        let builder = DevS3::builder()
            .tls(true)
            .bucket(&policies.bucket)
            .bucket("debucket-other");
        let store = Store::start_embedded(builder)?;
        let keys = |id: &str, token: Option<&str>| Keys {
            id: id.to_owned(),
            secret: format!("secret-of-{id}"),
            token: token.map(str::to_owned),
        };
        let world = Self {
            stage,
            policies,
            store,
            ca_bundle: stage.folder.join(format!("{}.pem", policies.bucket)),
            publisher: keys("publisher", None),
            // Of a role: with a token.
            reader: keys("reader", Some("session-of-reader")),
        };
        let server = world.server()?;
        fs::write(&world.ca_bundle, server.ca_pem().unwrap_or_default())?;
        server
            .set_policy(&policies.bucket, Some(&policies.bucket_policy))
            .context("the bucket's policy is not understood")?;
        let known = |keys: &Keys, policy: &Policy| {
            let key = AccessKey::new(&keys.id, &keys.secret, Grants::Policy(policy.clone()));
            match &keys.token {
                Some(token) => key.with_session_token(token),
                None => key,
            }
        };
        server.set_access_keys(vec![
            known(&world.publisher, &policies.publisher),
            known(&world.reader, &policies.reader),
        ]);
        Ok(world)
    }

    fn server(&self) -> Result<&DevS3> {
        self.store
            .embedded()
            .context("the server is not the embedded one")
    }

    fn repository(&self) -> String {
        match self.policies.prefix.as_str() {
            "" => format!("s3://{}", self.policies.bucket),
            prefix => format!("s3://{}/{prefix}", self.policies.bucket),
        }
    }

    fn publish(&self) -> Result<()> {
        let repository = self.repository();
        self.stage.publish(true, |arguments| {
            self.stage.debucket(
                &self.store.endpoint,
                &self.publisher,
                Some(&self.ca_bundle),
                &[arguments, &["--repo", &repository]].concat(),
            )
        })
    }

    /// The demo: the device boots before anything is published, then installs.
    pub(super) fn boot_and_install(&self, script: &str, method_package: &Path) -> Result<()> {
        let bucket = &self.policies.bucket;
        let key = script
            .split(&format!("s3://{bucket}/"))
            .nth(1)
            .and_then(|rest| rest.split(' ').next())
            .filter(|key| key.starts_with("bootstrap/"))
            .context("the script does not say what it fetches")?;
        let metadata = Metadata::start("debucket-demo", &self.reader)?;
        let device = Device::new(
            self.stage.folder,
            &metadata,
            &self.store.endpoint,
            Some(&self.ca_bundle),
        )?;
        let server = self.server()?;
        server.put(bucket, key, b"not the package")?;
        device.refuses_to_boot(script, bucket)?;
        server.put(bucket, key, &fs::read(method_package)?)?;
        device.boot(script, bucket)?;
        self.publish()?;
        device.apt_get(&["update"])?;
        device.apt_get(&["install", "--yes", "helloworld=0.1", "firmware"])?;
        device.apt_get(&["upgrade", "--yes"])?;
        expect_installed(device.root(), "helloworld", "0.2")
    }

    /// A repository in a folder, and a device that has its keys in a file.
    pub(super) fn publish_and_read(&self) -> Result<()> {
        self.publish()?;
        let apt = AptRoot::create(self.stage.folder, "reader", &self.stage.binaries.method)?;
        let keyring = apt.path("etc/apt/keyrings/acme.asc");
        fs::copy(self.stage.folder.join("acme.asc"), &keyring)?;
        apt.write(
            "sources.list.d/acme.sources",
            format!(
                "Types: deb\nURIs: {}\nSuites: stable\nComponents: main\nSigned-By: {}\n",
                self.repository(),
                keyring.display()
            ),
        )?;
        let auth = self.store.s3auth(&self.store.endpoint, Some(&self.reader));
        apt.write("s3auth.conf", auth)?;
        for arguments in [&["update"][..], &["install", "--yes", "helloworld"]] {
            let mut command = apt.command("apt-get");
            command
                .args(arguments)
                .env("AWS_CA_BUNDLE", &self.ca_bundle);
            process::run(&mut command)?.success()?;
        }
        expect_installed(&apt, "helloworld", "0.2")
    }

    /// What was recorded is allowed; what was tried, or could be, is not. Also returns the reader's requests.
    pub(super) fn judge(&self) -> Result<(String, Vec<Request>)> {
        let server = self.server()?;
        let log = server.request_log();
        // To a reader, who may not list, an object that is not there yet reads as forbidden.
        let mut written = BTreeSet::new();
        for logged in &log {
            let request = &logged.request;
            let missing =
                request.operation == Operation::GetObject && !written.contains(&request.key);
            ensure!(
                logged.status != 403 || missing,
                "a request was refused: {logged:?}"
            );
            if request.is_write() && logged.status == 200 {
                written.insert(&request.key);
            }
        }
        let left: Vec<_> = server
            .keys(&self.policies.bucket)
            .into_iter()
            .filter(|key| key.contains("debucket-probe/"))
            .collect();
        ensure!(left.is_empty(), "the probe could not remove {left:?}");
        for operation in [
            Operation::GetObject,
            Operation::HeadObject,
            Operation::PutObject,
            Operation::UploadPart,
            Operation::CompleteMultipartUpload,
            Operation::DeleteObjects,
            Operation::ListObjectsV2,
        ] {
            ensure!(
                log.iter()
                    .any(|logged| logged.request.operation == operation),
                "nobody asked for {operation}: the policies were not tried out"
            );
        }
        let reader = Request::recorded(&log, &self.reader.id);
        let publisher = Request::recorded(&log, &self.publisher.id);
        let tally = self.policies.judge(&reader, &publisher)?;
        let mut refused = 0;
        for keys in [&self.reader, &self.publisher] {
            let intruder = Intruder {
                runtime: &self.store.runtime,
                endpoint: &self.store.endpoint,
                ca_bundle: Some(&self.ca_bundle),
                bucket: &self.policies.bucket,
                keys,
            };
            refused += intruder.is_refused(&self.policies.prefix, HEAD, PACKAGE)?;
            if keys == &self.reader {
                refused += intruder.only_reads(&self.policies.prefix, HEAD)?;
            }
        }
        Ok((format!("{tally}, {refused} attempts refused"), reader))
    }
}
