//! The configuration that today's users have, unchanged: one-line sources, `s3auth.conf`, an unsigned suite, and readers who may only get objects.

use anyhow::{Result, bail, ensure};

use super::{
    Needs, Scenario,
    world::{World, expect_installed, expect_offered},
};
use crate::{apt_root::AptRoot, store::Keys};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "users-configuration",
        about: "deb [trusted=yes] s3://BUCKET/ stable main, with s3auth.conf",
        needs: Needs::Nothing,
        run: users_configuration,
    },
    Scenario {
        name: "get-object-only",
        about: "the same for a reader with nothing but s3:GetObject",
        needs: Needs::OwnStore,
        run: get_object_only,
    },
    Scenario {
        name: "wrong-secret",
        about: "a true authentication error fails the update",
        needs: Needs::Nothing,
        run: wrong_secret,
    },
    Scenario {
        name: "no-rights",
        about: "a reader without any rights fails the update",
        needs: Needs::OwnStore,
        run: no_rights,
    },
    Scenario {
        name: "secret-in-uri",
        about: "s3://KEY:SECRET@… works, and the secret is not told",
        needs: Needs::OwnStore,
        run: secret_in_uri,
    },
    Scenario {
        name: "settings-of-apt",
        about: "Acquire::s3::… in apt.conf, and auth.conf.d",
        needs: Needs::Nothing,
        run: settings_of_apt,
    },
    Scenario {
        name: "no-by-hash",
        about: "a client with Acquire::By-Hash=no sees each new state",
        needs: Needs::Nothing,
        run: no_by_hash,
    },
];

/// Everybody may get objects; nobody may list.
///
/// MinIO, unlike S3, answers 404 for a missing key that the policy allows to get; there the policy leaves `InRelease` out, and the answer is 403 as on S3.
fn get_object_policy(bucket: &str, is_minio: bool) -> String {
    let keys = if is_minio {
        &["pool/*", "dists/stable/Release", "dists/stable/main/*"][..]
    } else {
        &["*"]
    };
    let resources: Vec<_> = keys
        .iter()
        .map(|key| format!("\"arn:aws:s3:::{bucket}/{key}\""))
        .collect();
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":["*"]}},"Action":["s3:GetObject"],"Resource":[{}]}}]}}"#,
        resources.join(",")
    )
}

fn use_it(world: &World<'_>, apt: &AptRoot) -> Result<()> {
    apt.update()?;
    apt.install(&["thing"])?;
    expect_installed(apt, "thing", "1")?;
    world.bucket.next_second();
    world.unsigned(&[&world.small("thing", "2")?])?;
    apt.update()?;
    apt.apt_get(&["upgrade", "--yes"])?.success()?;
    expect_installed(apt, "thing", "2")
}

fn users_configuration(world: &World<'_>) -> Result<()> {
    world.unsigned(&[&world.small("thing", "1")?])?;
    use_it(
        world,
        &world.trusting_device("device", Some(&world.store.keys))?,
    )
}

fn get_object_only(world: &World<'_>) -> Result<()> {
    world.unsigned(&[&world.small("thing", "1")?])?;
    world.store.put_policy(
        &world.bucket.name,
        &get_object_policy(&world.bucket.name, world.store.embedded().is_none()),
    )?;
    let proxy = world.proxy()?;
    let apt = world.trusting_device("device", None)?;
    apt.write("s3auth.conf", world.store.s3auth(&proxy.endpoint(), None))?;
    apt.update()?;
    let answers: Vec<_> = proxy
        .request_log()
        .iter()
        .filter(|entry| entry.request.key.ends_with("/InRelease"))
        .map(|entry| entry.status)
        .collect();
    ensure!(
        !answers.is_empty() && answers.iter().all(|status| *status == 403),
        "the missing InRelease was answered {answers:?}, so nothing is shown here"
    );
    use_it(world, &apt)
}

fn wrong_secret(world: &World<'_>) -> Result<()> {
    world.unsigned(&[&world.small("thing", "1")?])?;
    let wrong = Keys {
        secret: "hunter2hunter2".into(),
        ..world.store.keys.clone()
    };
    let apt = world.trusting_device("device", Some(&wrong))?;
    let update = apt.apt_get(&["update"])?.failure()?;
    ensure!(
        !update.outcome.text().contains("hunter2"),
        "the secret is told\n{}",
        update.report()
    );
    expect_offered(&apt, "thing", &[])?;

    // The same for a signed suite.
    let stable = world.small("other", "1")?;
    crate::process::run(&mut world.publish_signed(&[&stable], &["--suite", "signed"]))?
        .success()?;
    let apt = world.device_at("signed", &world.store.endpoint, Some(&wrong))?;
    let keyring = apt.path("etc/apt/keyrings/e2e.asc");
    apt.write(
        "sources.list.d/e2e.sources",
        format!(
            "Types: deb\nURIs: {}\nSuites: signed\nComponents: main\nSigned-By: {}\n",
            world.repo(),
            keyring.display()
        ),
    )?;
    apt.apt_get(&["update"])?.failure()?;
    Ok(())
}

fn no_rights(world: &World<'_>) -> Result<()> {
    world.signed(&[&world.small("thing", "1")?])?;
    // No keys at all, and the bucket is closed.
    let apt = world.device_at("device", &world.store.endpoint, None)?;
    let update = apt.apt_get(&["update"])?.failure()?;
    ensure!(
        update.outcome.text().to_lowercase().contains("credentials"),
        "it is not said that there are no credentials\n{}",
        update.report()
    );
    Ok(())
}

fn secret_in_uri(world: &World<'_>) -> Result<()> {
    world.unsigned(&[&world.small("thing", "1")?])?;
    let apt = world.trusting_device("device", None)?;
    let keys = &world.store.keys;
    // Userinfo stands in front of the store's host, and the bucket is the first folder; here the endpoint is the store's own.
    let uri = format!("s3://{}:{}@{}/", keys.id, keys.secret, world.bucket.name);
    apt.write(
        "sources.list",
        format!("deb [trusted=yes] {uri} stable main\n"),
    )?;
    let update = apt.update()?;
    if update.outcome.text().contains(&keys.secret) {
        bail!("the secret is told\n{}", update.report());
    }
    apt.install(&["thing"])?;
    expect_installed(&apt, "thing", "1")
}

fn settings_of_apt(world: &World<'_>) -> Result<()> {
    world.signed(&[&world.small("thing", "1")?])?;
    let apt = world.device_at("device", &world.store.endpoint, None)?;
    let (bucket, store) = (&world.bucket.name, world.store);
    std::fs::remove_file(apt.path("etc/apt/s3auth.conf"))?;
    apt.configure(&format!(
        "Acquire::s3::{bucket}::Endpoint \"{}\";\nAcquire::s3::Region \"{}\";",
        store.endpoint, store.region
    ))?;
    apt.write(
        "auth.conf.d/store.conf",
        format!(
            "machine s3://{bucket} login {} password {}\n",
            store.keys.id, store.keys.secret
        ),
    )?;
    apt.update()?;
    apt.install(&["thing"])?;
    expect_installed(&apt, "thing", "1")
}

fn no_by_hash(world: &World<'_>) -> Result<()> {
    world.signed(&[&world.small("thing", "1")?])?;
    let apt = world.device("device")?;
    apt.configure("Acquire::By-Hash \"no\";")?;
    for version in ["1", "2", "3"] {
        world.signed(&[&world.small("thing", version)?])?;
        let update = apt.update()?;
        ensure!(
            !update.transcript.contains("/by-hash/"),
            "{}",
            update.report()
        );
        let versions: Vec<_> = ["1", "2", "3"]
            .into_iter()
            .take_while(|other| *other <= version)
            .collect();
        expect_offered(&apt, "thing", &versions)?;
        world.bucket.next_second();
    }
    Ok(())
}
