//! The way through a proxy.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::usual_server;
use crate::secret::Secret;
use crate::vsphere::{Client, Error, Proxy, observe_through};

/// A proxy that notes what it is asked for, and lets pass who has the right credentials.
struct TestProxy {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for TestProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TestProxy {
    async fn start(refusal: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&noted), refusal));
            }
        });
        Self {
            address,
            asked,
            task,
        }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn way(&self, login: Option<(&str, &str)>) -> Proxy {
        let secret =
            |(user, password): (&str, &str)| (user.to_owned(), Secret::new(password.to_owned()));
        Proxy::Http {
            address: self.address.parse().unwrap(),
            login: login.map(secret),
        }
    }
}

async fn serve(
    mut socket: TcpStream,
    asked: Arc<Mutex<Vec<String>>>,
    refusal: Option<&'static str>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if socket.read_buf(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let head = String::from_utf8(head).unwrap();
    asked.lock().unwrap().push(head.clone());
    if let Some(refusal) = refusal {
        let answer = format!("HTTP/1.1 {refusal}\r\nContent-Length: 0\r\n\r\n");
        let _ = socket.write_all(answer.as_bytes()).await;
        return;
    }
    let target = head.split(' ').nth(1).unwrap();
    let mut server = TcpStream::connect(target).await.unwrap();
    socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    let _ = copy_bidirectional(&mut socket, &mut server).await;
}

#[tokio::test]
async fn tls_goes_through_a_proxy_untouched() {
    let server = usual_server().await;
    let proxy = TestProxy::start(None).await;
    let mut options = server.options();
    options.proxy = proxy.way(Some(("joe", "s3cret")));
    assert!(!format!("{options:?}").contains("s3cret"));
    let client = Client::connect(options).await.unwrap();
    client.logout().await.unwrap();
    assert_eq!(server.count("Logout"), 1);
    let asked = proxy.asked();
    assert!(!asked.is_empty());
    for head in asked {
        assert!(
            head.starts_with(&format!("CONNECT {} ", server.address())),
            "{head}"
        );
        // The pair in base64.
        assert!(
            head.to_ascii_lowercase()
                .contains("proxy-authorization: basic ")
        );
        assert!(head.contains("am9lOnMzY3JldA=="), "{head}");
    }
    let address = server.address().parse().unwrap();
    let seen = observe_through(&address, &proxy.way(None)).await;
    assert_eq!(seen.unwrap(), server.thumbprints());
}

#[tokio::test]
async fn a_proxy_that_refuses_is_an_error_of_the_way() {
    let server = usual_server().await;
    for refusal in ["407 Proxy Authentication Required", "403 Forbidden"] {
        let proxy = TestProxy::start(Some(refusal)).await;
        let mut options = server.options();
        options.proxy = proxy.way(None);
        let refused = Client::connect(options).await;
        assert!(
            matches!(refused, Err(Error::Transport { .. })),
            "{refused:?}"
        );
        assert_eq!(proxy.asked().len(), 1);
    }
    assert!(server.seen().is_empty());
}
