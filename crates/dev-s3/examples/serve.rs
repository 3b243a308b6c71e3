//! Serves a bucket named `demo` from memory, or from the folder that is given, until it is
//! interrupted.

use dev_s3::DevS3;

#[tokio::main]
async fn main() -> Result<(), dev_s3::Error> {
    let mut builder = DevS3::builder().bucket("demo");
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        builder = match argument.as_str() {
            "--tls" => builder.tls(true),
            "--listen" => builder.listen(arguments.next().unwrap_or_default()),
            directory => builder.directory(directory),
        };
    }
    dev_s3::serve(builder, |server| {
        println!(
            "{} {} {}",
            server.endpoint(),
            DevS3::DEFAULT_KEY_ID,
            DevS3::DEFAULT_SECRET
        );
    })
    .await
}
