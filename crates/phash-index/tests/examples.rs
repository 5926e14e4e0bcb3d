//! The examples do what they say: run as modules of this test.
#![allow(missing_docs, dead_code, clippy::unwrap_used, clippy::expect_used, reason = "a test, and programs")]

#[path = "../examples/http_service.rs"]
mod http_service;
#[path = "../examples/image_hashes.rs"]
mod image_hashes;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use phash_index::Live;

#[test]
fn image_hashes_finds_the_variants_of_each_picture_in_the_shipped_file() {
    let shipped = include_str!("../examples/data/image_hashes.txt");
    assert_eq!(image_hashes::make(), shipped);
    let mut out = Vec::new();
    image_hashes::show(shipped, Some("picture-03.png"), &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    assert!(out.starts_with("nearest to picture-03.png:\n    0 bits  picture-03.png "), "{out}");
    for variant in ["brighter", "noisy", "cropped"] {
        let line = out.lines().find(|line| line.contains(&format!(" picture-03-{variant}.png"))).unwrap();
        assert!(line.ends_with("same picture"), "{out}");
    }
    assert_eq!(out.matches(" another\n").count(), 1);
    assert!(out.contains("\n8 groups within 31 bits among 48 pictures:\n"), "{out}");
    for number in (0..24).step_by(3) {
        let name = format!("picture-{number:02}");
        assert!(
            out.contains(&format!(
                "  {name}.png, {name}-brighter.png, {name}-noisy.png, {name}-cropped.png\n"
            )),
            "{out}"
        );
    }
}

#[test]
fn image_hashes_names_the_line_that_is_wrong() {
    let refused = |text| image_hashes::show(text, None, &mut Vec::new()).unwrap_err().to_string();
    assert!(refused("# fine\n\n0123 short.png").starts_with("line 3: "));
    assert_eq!(refused("0123"), "line 1: no name");
    let unknown = image_hashes::show("", Some("x"), &mut Vec::new()).unwrap_err();
    assert_eq!(unknown.to_string(), "no picture \"x\"");
    let mut out = Vec::new();
    image_hashes::show("", None, &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "0 groups within 31 bits among 0 pictures:\n");
}

/// Sends bytes and gives what comes back: status and body.
fn exchange(address: SocketAddr, request: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    // The service may answer and close before it has read everything.
    let _ = stream.write_all(request);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or(0), answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

fn get(address: SocketAddr, target: &str) -> (u16, String) {
    exchange(address, format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
}

fn post(address: SocketAddr, body: &str) -> (u16, String) {
    let head = format!("POST /codes HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    exchange(address, format!("{head}{body}").as_bytes())
}

#[test]
fn http_service_adds_finds_and_removes_codes_and_survives_bad_requests() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (live, stop) = (Live::new().unwrap(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| http_service::serve(&listener, &live, &stop));
        let tested = std::panic::catch_unwind(|| talk(address));
        // Every thread waits for one more connection.
        stop.store(true, Ordering::Relaxed);
        for _ in 0..8 {
            drop(TcpStream::connect(address));
        }
        tested.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn talk(address: SocketAddr) {
    let one = "00".repeat(32);
    let near = format!("{}ff", "00".repeat(31));
    let far = "5a".repeat(32);
    assert_eq!(post(address, &format!("{one}\n{near}\n")), (200, "{\"first_id\":0,\"codes\":2}\n".into()));
    assert_eq!(post(address, &far), (200, "{\"first_id\":2,\"codes\":1}\n".into()));
    let both = "{\"found\":2,\"matches\":[{\"id\":0,\"distance_bits\":0},{\"id\":1,\"distance_bits\":8}]}\n";
    assert_eq!(get(address, &format!("/search?code={one}&radius=31")), (200, both.into()));
    assert_eq!(get(address, &format!("/search?code={one}&k=2")), (200, both.into()));
    let last = "{\"found\":1,\"matches\":[{\"id\":2,\"distance_bits\":0}]}\n";
    assert_eq!(get(address, &format!("/search?code={far}&k=2&radius=9")), (200, last.into()));
    let delete = |target: &str| exchange(address, format!("DELETE {target} HTTP/1.1\r\n\r\n").as_bytes());
    assert_eq!(delete("/codes/0"), (200, "{\"removed\":0}\n".into()));
    assert_eq!((delete("/codes/0").0, delete("/codes/9").0, delete("/codes/x").0), (404, 404, 400));
    let left = "{\"found\":1,\"matches\":[{\"id\":1,\"distance_bits\":8}]}\n";
    assert_eq!(get(address, &format!("/search?code={one}&radius=31")), (200, left.into()));

    let status = |request: &[u8]| exchange(address, request).0;
    assert_eq!(get(address, "/search?code=12&k=1").0, 400);
    assert_eq!(get(address, "/search?k=1").0, 400);
    assert_eq!(get(address, &format!("/search?code={one}")).0, 400);
    assert_eq!(get(address, &format!("/search?code={one}&k=-1")).0, 400);
    assert_eq!(get(address, &format!("/search?code={one}&radios=1")).0, 400);
    assert_eq!((get(address, "/").0, status(b"PUT /codes HTTP/1.1\r\n\r\n")), (404, 405));
    assert_eq!((status(b""), status(b"\0\xff\r\n\r\n"), status(b"GET /stats\r\n\r\n")), (400, 400, 400));
    assert_eq!(status(b"GET /stats HTTP/1.1\r\nno colon\r\n\r\n"), 400);
    assert_eq!(status(b"POST /codes HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), 411);
    assert_eq!(status(b"POST /codes HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n"), 413);
    assert_eq!(status(b"POST /codes HTTP/1.1\r\nContent-Length: -1\r\n\r\n"), 400);
    assert_eq!(status(b"POST /codes HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc"), 400);
    let long = [b"GET /stats HTTP/1.1\r\nA: ".to_vec(), vec![b'a'; 8192]].concat();
    assert_eq!(status(&long), 431);
    let (refused, why) = post(address, &format!("{one}\n12\n{far}"));
    assert!(refused == 400 && why.contains("line 2"), "{why}");
    let stats = "{\"codes\":3,\"removed\":1,\"segments\":0,\"sealed\":0,\"tabled\":0,\"scanned\":3}\n";
    assert_eq!(get(address, "/stats"), (200, stats.into()), "nothing of a refused request was added");
}
