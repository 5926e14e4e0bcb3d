//! A small search service: codes of 256 bits come and go while they are searched for.
//!
//! `cargo run --release -p phash-index --example http_service -- [127.0.0.1:8080]`
//!
//! ```text
//! POST /codes                      one code a line, in hexadecimal -> {"first_id":0,"codes":2}
//! GET  /search?code=HEX&radius=31  all within the radius (bits, inclusive), at most 1,000 shown
//! GET  /search?code=HEX&k=10       the nearest
//! DELETE /codes/7                  removes a code
//! GET  /stats
//! ```
//!
//! It shows the index, not how to build a server: HTTP/1.1 without keep-alive, for a trusted network. What it does hold:
//! requests are bounded in size and time, threads in number, and no request ends the service.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use phash_code::Code256;
use phash_index::{Live, Matches};

/// Bytes of request line and headers, of a body, and of a connection's time to send them.
const MAX_HEAD_BYTES: u64 = 8 * 1024;
const MAX_BODY_BYTES: u64 = 4 * 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(5);
const THREADS: usize = 8;
const MAX_SHOWN: usize = 1000;

#[expect(clippy::print_stdout, reason = "a service says where it listens")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = TcpListener::bind(&address).map_err(|error| format!("{address}: {error}"))?;
    println!("listening on http://{}", listener.local_addr()?);
    let live = Live::new()?;
    serve(&listener, &live, &AtomicBool::new(false));
    Ok(())
}

/// Answers requests on a fixed number of threads until `stop` is raised and each thread has had one more connection.
pub(crate) fn serve(listener: &TcpListener, live: &Live<4>, stop: &AtomicBool) {
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    match listener.accept() {
                        // A client that went away is its own affair.
                        Ok((stream, _)) => drop(answer(&stream, live)),
                        // Out of descriptors, perhaps: others will be closed.
                        Err(_) => std::thread::sleep(Duration::from_millis(10)),
                    }
                }
            });
        }
    });
}

/// A refusal: status line and reason.
type Refusal = (&'static str, String);

fn answer(stream: &TcpStream, live: &Live<4>) -> io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let (status, body) = match read_request(stream).and_then(|request| respond(&request, live)) {
        Ok(body) => ("200 OK", body),
        Err((status, why)) => (
            status,
            format!("{{\"error\":{:?}}}", why.replace(|c: char| !c.is_ascii() || c.is_control(), "?")),
        ),
    };
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}\n",
        body.len() + 1
    )?;
    stream.flush()
}

struct Request {
    method: String,
    target: String,
    body: String,
}

fn read_request(stream: impl Read) -> Result<Request, Refusal> {
    let mut head = BufReader::new(stream).take(MAX_HEAD_BYTES);
    let first = read_line(&mut head)?;
    let mut words = first.split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(("400 Bad Request", "not an HTTP/1.1 request".to_owned()));
    };
    let (method, target) = (method.to_owned(), target.to_owned());
    let mut body_bytes = 0;
    loop {
        let line = read_line(&mut head)?;
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else {
            return Err(("400 Bad Request", "a header without a colon".to_owned()));
        };
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(("411 Length Required", "send Content-Length".to_owned()));
        }
        if name.eq_ignore_ascii_case("content-length") {
            body_bytes = value
                .trim()
                .parse()
                .map_err(|_| ("400 Bad Request", "Content-Length is no number".to_owned()))?;
        }
    }
    if body_bytes > MAX_BODY_BYTES {
        return Err((
            "413 Content Too Large",
            format!("a body has at most {MAX_BODY_BYTES} bytes, not {body_bytes}"),
        ));
    }
    let mut rest = head.into_inner().take(body_bytes);
    let mut body = String::new();
    let got = rest.read_to_string(&mut body).map_err(refused)?;
    if got as u64 != body_bytes {
        return Err(("400 Bad Request", "the body is shorter than Content-Length".to_owned()));
    }
    Ok(Request { method, target, body })
}

/// A line of the head, without its end.
fn read_line(head: &mut io::Take<BufReader<impl Read>>) -> Result<String, Refusal> {
    let mut line = String::new();
    head.read_line(&mut line).map_err(refused)?;
    match line.strip_suffix('\n') {
        Some(line) => Ok(line.strip_suffix('\r').unwrap_or(line).to_owned()),
        None if head.limit() == 0 => {
            Err(("431 Request Header Fields Too Large", format!("a head has at most {MAX_HEAD_BYTES} bytes")))
        }
        None => Err(("400 Bad Request", "the request breaks off".to_owned())),
    }
}

fn refused(error: io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ("408 Request Timeout", "too slow".to_owned()),
        io::ErrorKind::InvalidData => ("400 Bad Request", "not UTF-8".to_owned()),
        _ => ("400 Bad Request", error.to_string()),
    }
}

fn respond(request: &Request, live: &Live<4>) -> Result<String, Refusal> {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    match (request.method.as_str(), path) {
        ("GET", "/search") => search(query, live),
        ("POST", "/codes") => insert(&request.body, live),
        ("GET", "/stats") => {
            let stats = live.stats();
            Ok(format!(
                "{{\"codes\":{},\"removed\":{},\"segments\":{},\"sealed\":{},\"tabled\":{},\"scanned\":{}}}",
                stats.codes, stats.removed, stats.segments, stats.sealed, stats.tabled, stats.scanned
            ))
        }
        ("DELETE", path) if path.starts_with("/codes/") => {
            let id = number("the id", &path["/codes/".len()..])?;
            if live.remove(id) {
                Ok(format!("{{\"removed\":{id}}}"))
            } else {
                Err(("404 Not Found", format!("no code {id}")))
            }
        }
        (_, "/search" | "/codes" | "/stats") => {
            Err(("405 Method Not Allowed", format!("not {}", request.method)))
        }
        _ => Err(("404 Not Found", "there are /search, /codes and /stats".to_owned())),
    }
}

fn insert(body: &str, live: &Live<4>) -> Result<String, Refusal> {
    let mut codes = Vec::new();
    for (line, text) in (1..).zip(body.lines()) {
        codes.push(code(text.trim()).map_err(|(status, why)| (status, format!("line {line}: {why}")))?);
    }
    // All or none: the reader of an error need not find out how far it went.
    let ids = live.insert_many(&codes).map_err(|error| ("507 Insufficient Storage", error.to_string()))?;
    Ok(format!("{{\"first_id\":{},\"codes\":{}}}", ids.start, codes.len()))
}

fn search(query: &str, live: &Live<4>) -> Result<String, Refusal> {
    let (mut wanted, mut radius_bits, mut k) = (None, None, None);
    for (name, value) in query.split('&').filter_map(|part| part.split_once('=')) {
        match name {
            "code" => wanted = Some(code(value)?),
            "radius" => radius_bits = Some(number("radius", value)?),
            "k" => k = Some(number("k", value)?),
            _ => {
                return Err((
                    "400 Bad Request",
                    "unknown parameter; there are code, radius and k".to_owned(),
                ));
            }
        }
    }
    let Some(wanted) = wanted else {
        return Err(("400 Bad Request", "the parameter code is missing".to_owned()));
    };
    let snapshot = live.snapshot();
    let found = match (radius_bits, k) {
        (Some(radius_bits), None) => snapshot.within(&wanted, radius_bits),
        (None, Some(k)) => snapshot.nearest(&wanted, MAX_SHOWN.min(k as usize)),
        (Some(radius_bits), Some(k)) => {
            snapshot.nearest_within(&wanted, MAX_SHOWN.min(k as usize), radius_bits)
        }
        (None, None) => return Err(("400 Bad Request", "give radius or k".to_owned())),
    };
    Ok(json(&found))
}

fn json(found: &Matches) -> String {
    let shown = found.matches.iter().take(MAX_SHOWN);
    let shown: Vec<String> = shown
        .map(|found| format!("{{\"id\":{},\"distance_bits\":{}}}", found.id, found.distance_bits))
        .collect();
    format!("{{\"found\":{},\"matches\":[{}]}}", found.matches.len(), shown.join(","))
}

fn code(text: &str) -> Result<Code256, Refusal> {
    text.parse().map_err(|error: phash_code::Error| ("400 Bad Request", error.to_string()))
}

fn number(name: &str, text: &str) -> Result<u32, Refusal> {
    text.parse().map_err(|_| ("400 Bad Request", format!("{name} is no number below 2^32")))
}
