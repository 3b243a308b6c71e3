//! [moto](https://docs.getmoto.org): AWS in memory, started for one run on a free port of the loopback.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::sources;
use crate::{
    process::{self, Running},
    store::{Keys, REGION},
};

/// The image that it knows, as an expression of Terraform.
pub(super) const AMI: &str = "\"ami-0debian12\"";

/// Debian's image, since nobody has published one there.
const IMAGES: &str = r#"[{"ami_id": "ami-0debian12", "name": "debian-12-amd64-20260101-1", "description": "Debian 12",
  "owner_id": "136693071363", "public": true, "virtualization_type": "hvm", "architecture": "x86_64", "state": "available",
  "platform": null, "image_type": "machine", "hypervisor": "xen", "root_device_name": "/dev/xvda", "root_device_type": "ebs"}]"#;

/// Service, question, and the element that names each thing of the answer.
const WHAT_IS_THERE: [(&str, &str, &str); 9] = [
    ("iam", "Action=ListRoles", "RoleName"),
    ("iam", "Action=ListPolicies&Scope=Local", "PolicyName"),
    ("iam", "Action=ListInstanceProfiles", "InstanceProfileName"),
    ("iam", "Action=ListOpenIDConnectProviders", "Arn"),
    (
        "ec2",
        "Action=DescribeVpcs&Filter.1.Name=is-default&Filter.1.Value.1=false",
        "vpcId",
    ),
    (
        "ec2",
        "Action=DescribeVpcEndpoints&Filter.1.Name=vpc-endpoint-state&Filter.1.Value.1=available",
        "vpcEndpointId",
    ),
    (
        "ec2",
        "Action=DescribeInstances&Filter.1.Name=instance-state-name&Filter.1.Value.1=running",
        "instanceId",
    ),
    (
        "ec2",
        "Action=DescribeSecurityGroups&Filter.1.Name=group-name&Filter.1.Value.1=*debucket*",
        "groupId",
    ),
    ("s3", "", "Name"),
];

/// Its server, with what moto 5.2 lacks for a repository that commits by conditional writes.
const SERVER: &str = r#"
import sys, threading
from werkzeug.serving import run_simple
from moto.iam import access_control
from moto.s3 import models
from moto.server import DomainDispatcherApplication, create_backend_app

# It takes a statement whose condition it cannot evaluate for a denial of everything. Here such a statement says nothing.
statement = access_control.IAMPolicyStatement
understood = statement.is_action_permitted
def is_action_permitted(self, action, *rest, **named):
    if "Condition" in self._statement and not action.startswith("sts:"):
        return access_control.PermissionResult.NEUTRAL
    return understood(self, action, *rest, **named)
statement.is_action_permitted = is_action_permitted

# It fails when it removes the marker of a deleted object for good.
if not hasattr(models.FakeDeleteMarker, "dispose"):
    models.FakeDeleteMarker.dispose = lambda self, garbage=False: None

# It looks at a precondition and writes in two steps: one request at a time makes them one.
app = DomainDispatcherApplication(create_backend_app)
lock = threading.Lock()
def one_at_a_time(environ, start_response):
    with lock:
        return list(app(environ, start_response))
run_simple("127.0.0.1", int(sys.argv[1]), one_at_a_time, threaded=True)
"#;

/// The emulator, as long as this is held.
pub(super) struct Moto {
    endpoint: String,
    _server: Running,
}

impl Moto {
    /// Starts it with nothing in it.
    pub(super) fn start(python: &Path, folder: &Path) -> Result<Self> {
        let images = folder.join("images.json");
        fs::write(&images, IMAGES)?;
        // The port is free when it is asked for; another program may take it first, so three tries.
        let mut last = None;
        for _ in 0..3 {
            match launch(python, &images) {
                Ok(moto) => return Ok(moto),
                Err(error) => last = Some(error),
            }
        }
        Err(last
            .unwrap_or_else(|| anyhow::anyhow!("not tried"))
            .context("moto does not start"))
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Credentials that may do everything, as long as nothing is enforced.
    pub(super) fn keys() -> Keys {
        Keys {
            id: "test".into(),
            secret: "test".into(),
            token: None,
        }
    }

    /// Leads every root module below `folder` here, by a file that overrides the settings of the provider
    /// (<https://developer.hashicorp.com/terraform/language/files/override>).
    pub(super) fn take_over(&self, folder: &Path) -> Result<()> {
        let endpoints: String = ["ec2", "iam", "kms", "s3", "sts"]
            .map(|service| format!("    {service} = \"{}\"\n", self.endpoint))
            .concat();
        let provider = format!(
            "provider \"aws\" {{\n  region = \"{REGION}\"\n  access_key = \"{}\"\n  secret_key = \"{}\"\n  \
             skip_credentials_validation = true\n  skip_metadata_api_check = true\n  s3_use_path_style = true\n  \
             endpoints {{\n{endpoints}  }}\n}}\n",
            Self::keys().id,
            Self::keys().secret
        );
        for file in sources::files(folder, "tf")? {
            let code = fs::read_to_string(&file)?;
            if let (true, Some(root)) = (code.contains("provider \"aws\" {"), file.parent()) {
                fs::write(root.join("emulator_override.tf"), &provider)?;
            }
        }
        Ok(())
    }

    /// From now on, IAM policies hold, for everybody; or not any longer.
    pub(super) fn enforce(&self, policies: bool) -> Result<()> {
        let after = if policies { "0" } else { "inf" };
        process::run(
            curl()
                .args(["--data", after, "--header", "Content-Type: text/plain"])
                .arg(format!("{}/moto-api/reset-auth", self.endpoint)),
        )?
        .success()
        .map(drop)
    }

    /// Makes a user with one policy, and gives their keys.
    pub(super) fn create_user(&self, name: &str, policy_arn: &str) -> Result<Keys> {
        self.ask("iam", &format!("Action=CreateUser&UserName={name}"))?;
        self.ask(
            "iam",
            &format!("Action=AttachUserPolicy&UserName={name}&PolicyArn={policy_arn}"),
        )?;
        let made = self.ask("iam", &format!("Action=CreateAccessKey&UserName={name}"))?;
        let field = |tag: &str| {
            elements(&made, tag)
                .pop()
                .with_context(|| format!("no {tag} in {made}"))
        };
        Ok(Keys {
            id: field("AccessKeyId")?,
            secret: field("SecretAccessKey")?,
            token: None,
        })
    }

    /// Removes the user again.
    pub(super) fn delete_user(&self, name: &str, policy_arn: &str, keys: &Keys) -> Result<()> {
        for action in [
            format!(
                "Action=DeleteAccessKey&UserName={name}&AccessKeyId={}",
                keys.id
            ),
            format!("Action=DetachUserPolicy&UserName={name}&PolicyArn={policy_arn}"),
            format!("Action=DeleteUser&UserName={name}"),
        ] {
            self.ask("iam", &action)?;
        }
        Ok(())
    }

    /// Fails if anything is left but what every account has.
    pub(super) fn expect_empty(&self) -> Result<String> {
        for (service, question, tag) in WHAT_IS_THERE {
            let left = elements(&self.ask(service, question)?, tag);
            ensure!(
                left.is_empty(),
                "after terraform destroy there is still, by {service} {question}: {}",
                left.join(", ")
            );
        }
        Ok(format!(
            "nothing is left, by {} questions",
            WHAT_IS_THERE.len()
        ))
    }

    /// Fails if a question of [`Self::expect_empty`] does not find what it asks for while it is there.
    pub(super) fn expect_full(&self) -> Result<()> {
        for (service, question, tag) in WHAT_IS_THERE {
            let answer = self.ask(service, question)?;
            ensure!(
                !elements(&answer, tag).is_empty(),
                "before terraform destroy {service} {question} finds nothing: {answer}"
            );
        }
        Ok(())
    }

    /// The answer of a service, as XML.
    fn ask(&self, service: &str, question: &str) -> Result<String> {
        let version = match service {
            "iam" => "&Version=2010-05-08",
            "ec2" => "&Version=2016-11-15",
            _ => "",
        };
        let mut command = curl();
        command
            .args(["--aws-sigv4", &format!("aws:amz:{REGION}:{service}")])
            .args([
                "--user",
                &format!("{}:{}", Self::keys().id, Self::keys().secret),
            ]);
        if !question.is_empty() {
            command.args(["--data", &format!("{question}{version}")]);
        }
        let outcome = process::run(command.arg(format!("{}/", self.endpoint)))?
            .success()
            .with_context(|| format!("moto does not answer {service} {question}"))?;
        Ok(outcome.stdout)
    }
}

fn curl() -> Command {
    let mut command = Command::new("curl");
    command.args([
        "--silent",
        "--show-error",
        "--fail-with-body",
        "--noproxy",
        "*",
    ]);
    command
}

/// The texts of all elements with this name that hold nothing else.
fn elements(xml: &str, tag: &str) -> Vec<String> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    xml.split(&open)
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(&close)?.0.to_owned()))
        .collect()
}

fn launch(python: &Path, images: &Path) -> Result<Moto> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port();
    let mut command = Command::new(python);
    command
        .args(["-c", SERVER, &port.to_string()])
        .env("MOTO_PORT", port.to_string())
        .env("MOTO_AMIS_PATH", images)
        .env("MOTO_IAM_LOAD_MANAGED_POLICIES", "true");
    let moto = Moto {
        endpoint: format!("http://127.0.0.1:{port}"),
        _server: process::start(&mut command)?,
    };
    moto.wait()
}

impl Moto {
    fn wait(mut self) -> Result<Self> {
        let started = Instant::now();
        loop {
            let page = format!("{}/moto-api/", self.endpoint);
            if process::run(curl().arg(page))?.code() == 0 {
                return Ok(self);
            }
            if self._server.has_ended()? || started.elapsed() > Duration::from_secs(60) {
                bail!("it does not answer\n{}", self._server.kill()?.report());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_by_their_names() {
        let xml = "<a><Name>one</Name><Names><Name>two</Name></Names></a>";
        assert_eq!(elements(xml, "Name"), ["one", "two"]);
        assert!(elements(xml, "Nam").is_empty());
    }
}
