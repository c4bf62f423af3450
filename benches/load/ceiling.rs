//! Upper bound for the server's throughput: an actix-web server that only returns files from
//! memory, by name. `ceiling FOLDER ADDRESS`

#![expect(clippy::print_stderr, reason = "a program for people at a terminal")]

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use actix_web::web::{self, Bytes, Data, Path};
use actix_web::{App, HttpResponse, HttpServer};

type Bodies = HashMap<String, Bytes>;

/// Returns the file of this name. The rest of the path is ignored, so that clients can make each
/// URL different.
async fn respond(path: Path<(String, String)>, bodies: Data<Bodies>) -> HttpResponse {
    match bodies.get(&path.0) {
        Some(body) => HttpResponse::Ok().content_type("application/scim+json").body(body.clone()),
        None => HttpResponse::NotFound().finish(),
    }
}

fn bodies(folder: &str) -> io::Result<Bodies> {
    let mut bodies = Bodies::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        bodies.insert(name, std::fs::read(entry.path())?.into());
    }
    Ok(bodies)
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(folder), Some(address)) = (arguments.next(), arguments.next()) else {
        eprintln!("ceiling FOLDER ADDRESS");
        std::process::exit(64);
    };
    let bodies = Data::new(bodies(&folder)?);
    let server = HttpServer::new(move || {
        App::new().app_data(Data::clone(&bodies)).route("/{name}/{rest}", web::get().to(respond))
    });
    server.keep_alive(Duration::from_secs(75)).tcp_nodelay(true).bind(address)?.run().await
}
