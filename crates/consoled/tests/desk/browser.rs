//! A browser as far as tests need one: TLS to the box's own authority, one request a connection, cookies kept.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::Desk;
use super::authd::{CODE, PASSWORD};

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn goes_to(&self) -> &str {
        self.headers.get(header::LOCATION).map_or("", |to| to.to_str().unwrap())
    }

    /// What the page's forms carry.
    pub fn token(&self) -> String {
        let (_, rest) = self.body.split_once("name=\"form\" value=\"").expect("a form");
        rest.split('"').next().unwrap().to_owned()
    }

    /// What stands between the first of one text and the next of another.
    pub fn between(&self, before: &str, after: &str) -> String {
        let (_, rest) = self.body.split_once(before).unwrap_or_else(|| panic!("{before} is in {}", self.body));
        rest.split(after).next().unwrap().to_owned()
    }
}

pub struct Browser {
    pub at: SocketAddr,
    pub host: String,
    pub cookie: Option<String>,
    pub extra: Vec<(&'static str, String)>,
    pub trust: Arc<ClientConfig>,
    /// What it says of itself when it asks for a page.
    pub looks: Vec<(&'static str, &'static str)>,
}

impl Browser {
    pub fn new(desk: &Desk) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(desk.authority_pem.as_bytes()).unwrap()).unwrap();
        let trust = ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions().unwrap();
        let trust = Arc::new(trust.with_root_certificates(roots).with_no_client_auth());
        let extra = vec![("sec-fetch-site", "same-origin".to_owned()), ("origin", "null".to_owned())];
        Self {
            at: desk.at,
            host: format!("localhost:{}", desk.at.port()),
            cookie: None,
            extra,
            trust,
            looks: vec![("sec-fetch-user", "?1"), ("sec-fetch-dest", "document")],
        }
    }

    /// Somebody of this role, signed in.
    pub async fn of(desk: &Desk, role: &str) -> Self {
        let mut browser = Self::new(desk);
        let answer = browser.sign_in(role, PASSWORD, CODE).await;
        assert_eq!((answer.status, answer.goes_to()), (StatusCode::SEE_OTHER, "/"), "{}", answer.body);
        browser
    }

    pub async fn sign_in(&mut self, user: &str, password: &str, code: &str) -> Answer {
        let token = self.get("/sign-in").await.token();
        let password = form_urlencoded::byte_serialize(password.as_bytes()).collect::<String>();
        self.post_raw("/sign-in", &format!("form={token}&user={user}&password={password}&code={code}")).await
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.ask(Method::GET, path, "").await
    }

    /// Sends a form as a page of this session would.
    pub async fn post(&mut self, path: &str, fields: &str) -> Answer {
        let token = self.get("/help").await.token();
        self.post_raw(path, &format!("form={token}&{fields}")).await
    }

    pub async fn post_raw(&mut self, path: &str, body: &str) -> Answer {
        self.ask(Method::POST, path, body).await
    }

    pub async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let name = self.host.rsplit_once(':').unwrap().0;
        let name = ServerName::try_from(name.trim_matches(['[', ']']).to_owned()).unwrap();
        TlsConnector::from(Arc::clone(&self.trust)).connect(name, TcpStream::connect(self.at).await?).await
    }

    pub async fn ask(&mut self, method: Method, path: &str, body: &str) -> Answer {
        let stream = TlsConnector::from(Arc::clone(&self.trust))
            .connect(ServerName::try_from("localhost").unwrap(), TcpStream::connect(self.at).await.unwrap())
            .await
            .unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let driver = tokio::spawn(connection);
        let mut request = Request::builder().method(&method).uri(path).header(header::HOST, &self.host);
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        if method == Method::GET {
            for (name, value) in &self.looks {
                request = request.header(*name, *value);
            }
        }
        if method == Method::POST {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            for (name, value) in &self.extra {
                request = request.header(*name, value);
            }
        }
        let answer = sender.send_request(request.body(Full::new(Bytes::from(body.to_owned()))).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        for cookie in parts.headers.get_all(header::SET_COOKIE) {
            self.cookie = Some(cookie.to_str().unwrap().split(';').next().unwrap().to_owned());
        }
        let body = body.collect().await.unwrap().to_bytes();
        driver.abort();
        Answer { status: parts.status, headers: parts.headers, body: String::from_utf8_lossy(&body).into_owned() }
    }
}
