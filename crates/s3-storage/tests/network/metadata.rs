//! An instance's metadata service that is busy is there all the same; one that takes connections alone may be too many hops away.

use std::{thread::sleep, time::Duration};

use crate::{
    direct::{credentials, read, store},
    server::{Reply, answer, serve},
};

#[tokio::test]
async fn a_busy_metadata_service_is_waited_for_and_never_taken_for_a_missing_one() {
    let (proxy, _) = serve(None, store).await;
    let proxy = format!("http://{proxy}");
    for (what, expected) in [
        ("slow", None),
        ("overloaded", Some("Unavailable: ")),
        ("without a role", Some("NoCredentials: ")),
        ("too far", Some("HttpPutResponseHopLimit")),
    ] {
        let (service, _) = serve(None, move |count, request| {
            let is_token = request.head.contains("/latest/api/token");
            match what {
                "slow" if !is_token => sleep(Duration::from_secs(1)),
                "overloaded" if !is_token => {
                    return answer("503 Service Unavailable", "", "", None);
                }
                "without a role" if !is_token => return answer("404 Not Found", "", "", None),
                "too far" => {
                    return Reply {
                        bytes: String::new(),
                        closes: false,
                    };
                }
                _ => {}
            }
            credentials(count, request)
        })
        .await;
        let service = (
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            format!("http://{service}"),
        );
        let ended = read(vec![service, ("http_proxy", proxy.clone())]).await;
        match (ended, expected) {
            (Ok(()), None) => {}
            (Err(said), Some(expected)) if said.contains(expected) => {}
            (ended, _) => panic!("{what}: {ended:?}"),
        }
    }
}
