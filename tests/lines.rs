//! Line N of a port is line N of its C twin.

use crate::harness::{self, Program, project, read, words};
use libtest_mimic::Trial;
use std::net::Ipv4Addr;
use std::process::Command;

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![harness::trial("lines_formatted", formatted)];
    for program in Program::ALL {
        let name = program.name();
        trials.push(harness::trial(format!("lines_{name}_counted"), move || counted(program)));
        trials.push(harness::trial(format!("lines_{name}_listed"), move || listed(program)));
        trials
            .push(harness::trial(format!("lines_{name}_translated"), move || translated(program)));
    }
    trials
}

/// Each Rust spelling that is not the C one.
const SPELLINGS: [(&str, &str); 7] = [
    ("setsockopt", "set_socket_reuseaddr"),
    ("setsockopt", "set_ip_add_membership"),
    ("accept", "acceptfrom"),
    ("memchr", "position"),
    ("printf", "printf!"),
    ("return", "exit"),
    ("defined", "cfg!"),
];

/// What C calls and Rust does not: the Rust line has the word in its comment.
const NEEDLESS: [&str; 5] = ["memset", "htons", "ntohs", "inet_pton", "errno"];

/// The lines of both sources, side by side: number, C, Rust.
fn pairs(program: Program) -> Vec<(usize, String, String)> {
    let lines = |extension: &str| -> Vec<String> {
        read(&format!("src/{}.{extension}", program.name())).lines().map(str::to_owned).collect()
    };
    let (c, rust) = (lines("c"), lines("rs"));
    assert_eq!(c.len(), rust.len());
    c.into_iter().zip(rust).enumerate().map(|(i, (c, rust))| (i + 1, c, rust)).collect()
}

fn counted(program: Program) {
    let pairs = pairs(program);
    assert_eq!(
        pairs.len(),
        match program {
            Program::Treuseaddr => 66,
            Program::Treuseaddr2 => 78,
            Program::Ureuseaddr => 55,
        }
    );
    for (number, c, rust) in pairs {
        assert_eq!(c.is_empty(), rust.is_empty(), "line {number} is blank in one source only");
        assert!(rust.len() <= 100, "line {number} is long");
    }
}

/// What the article has on its lines: in both programs, in the loop by its distance from the
/// buffer, and in either.
const LISTED: &str = r#"
 1 <stdio.h>
 2 <unistd.h>
 3 <string.h>
 4 <errno.h>
 5 <sys/types.h>
 6 <sys/socket.h>
 7 <netinet/in.h>
 8 <arpa/inet.h>
10 main(
11 lfd = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)
13 perror("socket: ")
18 memset(
20 htons(3459)
21 inet_pton(AF_INET, "127.0.0.1"
22 #ifdef REUSEADDR
23 int optval = 1
24 setsockopt(lfd, SOL_SOCKET, SO_REUSEADDR, &optval, sizeof(optval))
25 #endif
26 bind(lfd
27 perror("bind: ")
31 listen(lfd, 128)
32 perror("listen: ")
38 cfd = accept(lfd
40 perror("accept: ")
"#;
const LISTED_LOOP: &str = r#"
 0 char buff[100]
 1 for (;;)
 2 num = read(cfd, buff, 100)
 3 num == 0
 4 printf("{prefix}client close: %d\n", cfd)
 5 close(cfd)
 6 break
 7 num == -1
 8 no = errno
 9 no != EINTR && no != EAGAIN && no != EWOULDBLOCK
10 printf("{prefix}client error: %d\n", cfd)
11 close(cfd)
14 write(cfd, buff, num) != num
15 printf("{prefix}client error: %d\n", cfd)
16 close(cfd)
"#;
const LISTED_TREUSEADDR: &str = r#"
43 printf("client connected: %d\n", cfd)
65 return 0
"#;
const LISTED_TREUSEADDR2: &str = r#"
43 printf("[PARENT] client connected: %d\n", cfd)
45 pid = fork()
46 pid == -1
47 perror("fork: ")
48 return -1
49 pid == 0
50 #ifdef CLOSE_LISTENER
51 close(lfd)
52 #endif
74 close(cfd)
75 printf("[PARENT] parent exit\n")
77 return 0
"#;
const LISTED_UREUSEADDR: &str = r#"
11 fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)
13 perror("socket: ")
18 memset(
20 htons(3459)
21 inet_pton(AF_INET, "0.0.0.0"
22 #ifdef REUSEADDR
23 int optval = 1
24 setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &optval, sizeof(optval))
25 #endif
26 bind(fd
27 perror("bind: ")
31 struct ip_mreq mreq
32 inet_pton(AF_INET, "239.255.34.59", &mreq.imr_multiaddr)
33 inet_pton(AF_INET, "127.0.0.1", &mreq.imr_interface)
34 setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &mreq, sizeof(mreq)) == -1
35 perror("setsockopt: ")
39 pid = getpid()
40 char buff[100]
41 for (;;)
44 num = recvfrom(fd, buff, 100, 0
46 perror("recvfrom: ")
50 ntohs(
51 memchr(buff, '\n', num)
53 printf("[%d] %d: %.*s\n", pid, port, len, buff)
"#;

fn listed(program: Program) {
    let lists = match program {
        Program::Treuseaddr => vec![(0, LISTED), (0, LISTED_TREUSEADDR), (45, LISTED_LOOP)],
        Program::Treuseaddr2 => vec![(0, LISTED), (0, LISTED_TREUSEADDR2), (53, LISTED_LOOP)],
        Program::Ureuseaddr => vec![(0, LISTED_UREUSEADDR)],
    };
    let pairs = pairs(program);
    for (offset, list) in lists {
        for entry in list.lines().skip(1) {
            let (number, text) = entry.trim_start().split_once(' ').expect("a number and a text");
            let number = offset + number.parse::<usize>().expect("a number");
            let text = text.replace("{prefix}", program.prefix());
            let c = &pairs[number - 1].1;
            assert!(c.contains(&text), "line {number} is {c:?}, and should have {text:?}");
        }
    }
}

/// Each call, text, number and closing brace of a C line is on the Rust line, and no other call.
fn translated(program: Program) {
    for (number, c, rust) in pairs(program).into_iter().skip(9) {
        let c = match c.strip_prefix("#ifdef ") {
            Some(switch) => format!("if (defined({switch}))"),
            None => c.replace("#endif", "}"),
        };
        let (code, comment) = rust.split_once("// ").unwrap_or((&rust, ""));
        let complain = |what: &str| panic!("line {number}: {what}\n  C:    {c}\n  Rust: {rust}");
        for call in c_calls(&c) {
            let known = SPELLINGS.iter().filter(|(c, _)| *c == call).map(|(_, rust)| *rust);
            let mut spellings = known.chain([call]);
            if NEEDLESS.contains(&call) {
                if !comment.contains(call) {
                    complain(&format!("no word on {call}"));
                }
            } else if !spellings.any(|spelling| code.contains(&format!("{spelling}("))) {
                complain(&format!("no {call}"));
            }
        }
        for (_, rust_call) in rust_calls(code) {
            if !c_calls(&c).contains(&rust_call) {
                complain(&format!("{rust_call} is not in the C"));
            }
        }
        for text in c.split('"').skip(1).step_by(2) {
            let translated = match text.parse::<Ipv4Addr>() {
                Ok(_) => format!("Ipv4Addr::new({})", text.replace('.', ", ")),
                Err(_) => format!("c\"{text}\""),
            };
            if !code.contains(&translated) {
                complain("another text");
            }
        }
        for constant in ["100", "128", "3459"] {
            if words(&c).any(|word| word == constant)
                && !words(code).any(|word| word == constant)
                && !(constant == "100" && code.contains("&mut buff"))
            {
                complain("another number");
            }
        }
        if c.trim().starts_with('}') != code.trim().starts_with('}') {
            complain("a brace in one of them only");
        }
    }
}

/// What stands before a parenthesis, or is `return` or `errno`.
pub fn c_calls(line: &str) -> Vec<&str> {
    let line = line.split("//").next().unwrap_or_default();
    words(line)
        .filter(|&word| {
            let is_called = has_call(line, &format!("{word}("));
            let is_call = is_called && !["sizeof", "main"].contains(&word);
            is_call || ["return", "errno"].contains(&word)
        })
        .collect()
}

/// The calls of a Rust line that make a system call or stand for one, by their C name.
fn rust_calls(code: &str) -> Vec<(&str, &'static str)> {
    const CALLS: [(&str, &str); 16] = [
        ("socket(", "socket"),
        ("set_socket_reuseaddr(", "setsockopt"),
        ("set_ip_add_membership(", "setsockopt"),
        ("bind(", "bind"),
        ("listen(", "listen"),
        ("acceptfrom(", "accept"),
        ("fork(", "fork"),
        ("getpid(", "getpid"),
        ("recvfrom(", "recvfrom"),
        ("position(", "memchr"),
        ("read(", "read"),
        ("write(", "write"),
        ("close(", "close"),
        ("perror(", "perror"),
        ("printf!(", "printf"),
        ("exit(", "return"),
    ];
    CALLS.into_iter().filter(|(rust, _)| has_call(code, rust)).collect()
}

/// Whether `call` is there, and not as the end of a longer name.
fn has_call(line: &str, call: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.match_indices(call).any(|(at, _)| !line[..at].ends_with(is_name))
}

fn formatted() {
    let output =
        harness::run(Command::new(env!("CARGO")).args(["fmt", "--check"]).current_dir(project("")));
    assert!(output.status.success(), "{}{}", output.stdout, output.stderr);
    for file in Program::ALL.map(|program| format!("src/{}.rs", program.name())) {
        let source = read(&file);
        assert!(!source.contains("rustfmt::skip") && !source.contains("allow("), "{file}");
        assert!(source.contains("#![forbid(unsafe_code)]"), "{file}");
    }
}
