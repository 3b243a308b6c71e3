//! A fresh machine of the release that this one runs, with what the examples set up.

use anyhow::Result;

use crate::{
    e2e::world::World,
    image::{Base, Image},
    root_fs::RootFs,
};

/// What it has beyond apt: Python for Ansible, and what the examples set up.
const PACKAGES: &str = "ca-certificates,cloud-init,python3-apt,unattended-upgrades";

/// A copy, as `name` below the folder of `world`.
pub(super) fn fresh(world: &World<'_>, name: &str) -> Result<RootFs> {
    let base = Base::of_this_machine()?;
    let image = Image {
        suite: &base.suite,
        mirror: &base.mirror,
        keyring: None,
        arguments: &[
            "--variant=apt".to_owned(),
            "--skip=cleanup/apt/lists".to_owned(),
            format!("--include={PACKAGES}"),
        ],
    };
    RootFs::unpack(&image.tarball()?, world.folder.join(name))
}
