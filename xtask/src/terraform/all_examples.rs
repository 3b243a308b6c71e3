//! One root module that has the examples of all modules, so that they are applied together.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result};

use super::{emulator, readme};

/// Writes the root module `examples`, which has all examples of all modules as its own modules, and an output for each of them.
/// Those that ask for a network get one.
pub(super) fn write(terraform: &Path) -> Result<()> {
    let root = terraform.join("examples");
    fs::create_dir(&root)?;
    let mut code = String::from(
        "provider \"aws\" {}\n\
         resource \"aws_vpc\" \"this\" {\n  cidr_block = \"10.30.0.0/24\"\n}\n\
         resource \"aws_subnet\" \"this\" {\n  vpc_id     = aws_vpc.this.id\n  cidr_block = \"10.30.0.0/26\"\n}\n\
         resource \"aws_route_table\" \"this\" {\n  vpc_id = aws_vpc.this.id\n}\n",
    );
    let mut modules: Vec<_> = fs::read_dir(terraform.join("modules"))?.collect::<Result<_, _>>()?;
    modules.sort_by_key(fs::DirEntry::file_name);
    for module in modules {
        let examples = module.path().join("examples");
        for example in fs::read_dir(&examples)
            .with_context(|| format!("{} has no examples", module.path().display()))?
        {
            let example = example?;
            // A module takes the provider of the root.
            let main = example.path().join("main.tf");
            fs::write(&main, without_provider(&fs::read_to_string(&main)?))?;
            let name = example.file_name().to_string_lossy().into_owned();
            let source = format!(
                "../modules/{}/examples/{name}",
                module.file_name().to_string_lossy()
            );
            writeln!(code, "module \"{name}\" {{\n  source = \"{source}\"")?;
            for input in readme::inputs(&example.path())? {
                let value = match input.name.as_str() {
                    "vpc_id" => "aws_vpc.this.id",
                    "subnet_id" => "aws_subnet.this.id",
                    "route_table_id" => "aws_route_table.this.id",
                    "ami_id" => emulator::AMI,
                    other => anyhow::bail!("{source} asks for {other}, which is not known here"),
                };
                writeln!(code, "  {} = {value}", input.name)?;
            }
            writeln!(
                code,
                "}}\noutput \"{name}\" {{\n  value = module.{name}\n}}"
            )?;
        }
    }
    fs::write(root.join("main.tf"), code)?;
    fs::copy(terraform.join("demo/versions.tf"), root.join("versions.tf"))?;
    Ok(())
}

/// The code without its settings of the provider.
fn without_provider(code: &str) -> String {
    let mut kept = String::new();
    let mut within = false;
    for line in code.lines() {
        within = within || line.starts_with("provider ");
        if !within {
            kept.push_str(line);
            kept.push('\n');
        }
        within = within && line != "}";
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_provider_goes() {
        let code = "# First.\n\nprovider \"aws\" {\n  region = \"x\"\n}\n\nmodule \"a\" {\n}\n";
        assert_eq!(without_provider(code), "# First.\n\n\nmodule \"a\" {\n}\n");
    }
}
