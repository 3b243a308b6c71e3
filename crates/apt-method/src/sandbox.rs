//! Giving up rights: from root to apt's sandbox user, as apt's own methods do on `601
//! Configuration`.
//!
//! apt says in its configuration to whom (`APT::Sandbox::User`), and clears that item where the
//! target folder is not writable by that user; so a missing one means to stay. `Debug::NoDropPrivs`
//! keeps the rights as well. In any case no program that is run can gain rights
//! (`PR_SET_NO_NEW_PRIVS`).
//!
//! What is left to the sandbox user is what its file permissions leave it; on top of that the
//! kernel is asked (Landlock, <https://docs.kernel.org/userspace-api/landlock.html>) to refuse it
//! what the method never does: to run programs and to make devices, sockets, pipes, links and
//! folders. Reading stays as it is, for certificates, name resolution and tokens that are renewed.
//! A kernel without Landlock is no error.
//!
//! `HOME` is left as it is: no program is run that could look at it, and root's files below it are
//! out of reach. What only root can do later is [`crate::helper`]'s part.

use landlock::{
    Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
};
use nix::unistd::{User, getgroups, getresgid, getresuid, getuid, setgroups, setresgid, setresuid};

use crate::config::Config;

/// The program's exit status if rights could not be given up; apt's own methods have the same.
pub const EXIT_STATUS: u8 = 112;

/// The user that the configuration tells this process to become; `None` where it is to stay.
pub fn gives_up_rights(config: &Config) -> Option<&str> {
    let user = config.get("APT::Sandbox::User")?;
    let stays = user == "root" || config.flag("Debug::NoDropPrivs", false) || !getuid().is_root();
    (!stays).then_some(user)
}

/// Gives up rights as the configuration says.
///
/// # Errors
/// What failed: then nothing must be fetched.
pub fn enter(config: &Config) -> Result<(), String> {
    nix::sys::prctl::set_no_new_privs().map_err(|error| format!("no_new_privs: {error}"))?;
    let Some(name) = gives_up_rights(config) else {
        return Ok(());
    };
    become_user(name)?;
    refuse_what_is_never_done().map_err(|error| format!("landlock: {error}"))
}

/// Becomes a user for good, in its own group and no other.
///
/// # Errors
/// There is no such user, or the rights were not taken on completely.
pub fn become_user(name: &str) -> Result<(), String> {
    let user = User::from_name(name)
        .map_err(|error| format!("the user {name}: {error}"))?
        .ok_or_else(|| format!("the user {name} does not exist"))?;
    let (uid, gid) = (user.uid, user.gid);
    setgroups(&[gid]).map_err(|error| format!("setgroups: {error}"))?;
    setresgid(gid, gid, gid).map_err(|error| format!("setresgid: {error}"))?;
    setresuid(uid, uid, uid).map_err(|error| format!("setresuid: {error}"))?;

    // Asked again, because a security module may answer "done" and do nothing.
    let (users, groups) = (getresuid(), getresgid());
    let ids_fit = users.is_ok_and(|ids| [ids.real, ids.effective, ids.saved] == [uid; 3])
        && groups.is_ok_and(|ids| [ids.real, ids.effective, ids.saved] == [gid; 3])
        && getgroups().is_ok_and(|groups| groups == [gid]);
    if !ids_fit {
        return Err(format!("the rights of {name} were not taken on completely"));
    }
    Ok(())
}

fn refuse_what_is_never_done() -> Result<(), landlock::RulesetError> {
    let never: BitFlags<AccessFs> = AccessFs::Execute
        | AccessFs::MakeChar
        | AccessFs::MakeBlock
        | AccessFs::MakeSock
        | AccessFs::MakeFifo
        | AccessFs::MakeSym
        | AccessFs::MakeDir
        | AccessFs::RemoveDir;
    debug_assert!(
        AccessFs::from_all(landlock::ABI::V1).contains(never),
        "the first version of Landlock knows all of these"
    );
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(never)?
        .create()?
        .restrict_self()
        .map(drop)
}
