//! What a collection leaves alone because it is not debucket's, and what it collects of what another program made.

use std::collections::BTreeSet;

use bytes::Bytes;
use deb_index::suite::commit::Authorship;
use repository::{Accept, Adoption, Allow, Error, Silent, Writes};

use crate::{
    foreign::Foreign,
    gc::{GRACE, Scene, collect},
    repository::{Repository, committed, key, keys, open, suite},
    suites::collect_all,
};

/// No package files, or those of another repository.
const OTHERS: [&str; 8] = [
    "pool/",
    "pool/README",
    "pool/index.html",
    "pool/main/b/base/base_1.0_all.deb.asc",
    "pool/main/h/hello/hello_1.0-1.debian.tar.xz",
    "pool/main/h/hello/hello_1.0-1.dsc",
    "pool/other/dists/lab/Release",
    "pool/other/pool/tool_1.0_all.deb",
];

#[tokio::test]
async fn only_package_files_are_collected_from_the_pool() {
    let scene = Scene::uncollected().await;
    let (bucket, signing) = (&scene.repository.bucket, &scene.signing);
    let packages = ["deb", "udeb", "ddeb"].map(|kind| format!("pool/old/tool_1.0_amd64.{kind}"));
    for key in OTHERS
        .iter()
        .copied()
        .chain(packages.iter().map(String::as_str))
    {
        bucket.write(key, "content");
    }
    scene.repository.clock.advance(GRACE);
    let condemned = collect(bucket, signing).await.unwrap();
    let foreign = condemned.foreign;
    assert_eq!((foreign.objects, foreign.bytes), (8, 8 * 7));
    let of_pool = condemned.condemned_keys.iter();
    let of_pool = of_pool.filter(|key| key.starts_with("pool/")).cloned();
    let expected = packages.iter().cloned();
    let expected = expected.chain([scene.wanted.file.stanza.key.clone()]);
    assert_eq!(
        of_pool.collect::<BTreeSet<_>>(),
        expected.collect::<BTreeSet<_>>()
    );
    collect_all(&scene.repository, signing).await;
    for key in OTHERS {
        assert!(bucket.read(key).is_some(), "{key}");
    }
    for key in &packages {
        assert!(bucket.read(key).is_none(), "{key}");
    }
    scene.check(false).await;
}

/// Source packages stay, whether an index names them or not. Packages that were superseded before go.
#[tokio::test]
async fn of_an_adopted_suite_old_packages_go_and_sources_stay() {
    let (repository, signing) = (Repository::new(), Some(key()));
    let bucket = &repository.bucket;
    let mut foreign = Foreign::usual(&repository);
    let (named, old) = ("pool/main/t/tool/tool_2.dsc", "pool/main/t/tool/tool_1.dsc");
    let sources = format!(
        "Package: tool\nDirectory: pool/main/t/tool\nFiles:\n {:032x} 3 tool_2.dsc\n",
        0
    );
    let path = "main/source/Sources".to_owned();
    foreign.others.insert(path, Bytes::from(sources));
    for key in [named, old] {
        bucket.write(key, "dsc");
    }
    let superseded = Foreign::key_of("own", "0.9", "amd64");
    bucket.write(&superseded, "own 0.9");
    foreign
        .write_signed(&repository, signing.as_ref().unwrap())
        .await;
    let opened = open(bucket.clone(), Writes::Conditional);
    let stable = opened.suite(suite(), keys(&signing));
    let adoption = stable.adoption(Accept::default(), Allow::default()).await;
    let Adoption::Foreign(takeover) = adoption.unwrap() else {
        panic!("it is another program's")
    };
    committed(takeover.commit(&Authorship::default(), &Silent).await);
    let before = repository.check_as_client().await;
    let early = collect(bucket, &signing).await.unwrap();
    assert_eq!((early.condemned.objects, early.pool_left), (0, None));
    collect_all(&repository, &signing).await;
    assert_eq!(repository.check_as_client().await, before);
    assert!(bucket.read(&superseded).is_none());
    for key in [named, old] {
        assert!(bucket.read(key).is_some(), "{key}");
    }
}

#[tokio::test]
async fn an_index_without_a_release_is_another_tools() {
    let scene = Scene::uncollected().await;
    let bucket = &scene.repository.bucket;
    bucket.write("dists/old/main/binary-amd64/Packages.gz", "index");
    let refused = collect(bucket, &scene.signing).await.unwrap_err();
    let old = ["old".parse().unwrap()];
    assert!(
        matches!(&refused, Error::OtherTools { suites } if *suites == old),
        "{refused:?}"
    );
}
