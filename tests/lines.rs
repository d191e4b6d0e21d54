//! Line N of a port is line N of its C twin.

use crate::differences;
use crate::harness::{self, Program, read, words};
use libtest_mimic::Trial;
use std::net::Ipv4Addr;

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        harness::trial("lines_without_exceptions", without_exceptions),
        harness::trial("lines_in_print", in_print),
    ];
    for program in Program::ALL {
        let name = program.name();
        trials.push(harness::trial(format!("lines_{name}_counted"), move || counted(program)));
        trials.push(harness::trial(format!("lines_{name}_listed"), move || listed(program)));
        trials
            .push(harness::trial(format!("lines_{name}_translated"), move || translated(program)));
    }
    trials
}

/// The calls: how Rust spells each, and its C name.
const CALLS: [(&str, &str); 17] = [
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
    ("cfg!(", "defined"),
];

/// Calls of C that Rust does not need. The comment on the Rust line names them.
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

/// The article's line for our line; none if the article does not have it.
pub fn printed(program: Program, line: usize) -> Option<usize> {
    match (program, line) {
        (Program::Treuseaddr, _) | (Program::Treuseaddr2, ..50) => Some(line),
        (Program::Treuseaddr2, 53..) => Some(line - 3),
        _ => None,
    }
}

/// What the article has on its lines: the lines of both programs, those of the loop, counted from the
/// buffer, and those of each program.
const PRINTED: &str = r#"
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
19 AF_INET
20 htons(3459)
21 inet_pton(AF_INET, "127.0.0.1"
23 int optval = 1
24 setsockopt(lfd, SOL_SOCKET, SO_REUSEADDR, &optval, sizeof(optval))
26 bind(lfd
27 perror("bind: ")
31 listen(lfd, 128)
32 perror("listen: ")
36 struct sockaddr_storage claddr
37 addrlen = sizeof(
38 cfd = accept(lfd
40 perror("accept: ")
"#;
const PRINTED_LOOP: &str = r#"
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
const PRINTED_TREUSEADDR: &str = r#"
43 printf("client connected: %d\n", cfd)
65 return 0
"#;
const PRINTED_TREUSEADDR2: &str = r#"
43 printf("[PARENT] client connected: %d\n", cfd)
45 pid = fork()
46 pid == -1
47 perror("fork: ")
48 return -1
49 pid == 0
70 else
71 close(cfd)
72 printf("[PARENT] parent exit\n")
74 return 0
"#;

/// What only our programs have: in place of the article's blank lines, and in the third program.
const OURS: &str = r#"
22 #ifdef REUSEADDR
25 #endif
"#;
const OURS_TREUSEADDR2: &str = r#"
50 #ifdef CLOSE_LISTENER
51 close(lfd)
52 #endif
"#;
const OURS_UREUSEADDR: &str = r#"
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
    let pairs = pairs(program);
    let (in_print, own) = match program {
        Program::Treuseaddr => {
            (vec![(0, PRINTED), (0, PRINTED_TREUSEADDR), (45, PRINTED_LOOP)], vec![OURS])
        }
        Program::Treuseaddr2 => (
            vec![(0, PRINTED), (0, PRINTED_TREUSEADDR2), (50, PRINTED_LOOP)],
            vec![OURS, OURS_TREUSEADDR2],
        ),
        Program::Ureuseaddr => (vec![], vec![OURS_UREUSEADDR]),
    };
    let has = |line: usize, text: &str| {
        let text = text.replace("{prefix}", program.prefix());
        let c = &pairs[line - 1].1;
        assert!(c.contains(&text), "line {line} is {c:?}, and should have {text:?}");
    };
    for (offset, list) in in_print {
        for (number, text) in entries(list) {
            let is_it = |line: &usize| printed(program, *line) == Some(offset + number);
            let line = (1..=pairs.len()).find(is_it).expect("the article has that line");
            has(line, text);
        }
    }
    for (line, text) in own.into_iter().flat_map(entries) {
        has(line, text);
    }
}

/// The numbers and texts of a list.
fn entries(list: &str) -> impl Iterator<Item = (usize, &str)> {
    list.lines().skip(1).map(|entry| {
        let (number, text) = entry.trim_start().split_once(' ').expect("a number and a text");
        (number.parse().expect("the field is a number"), text)
    })
}

/// `docs/differences.md` lists each line on which our C is not the printed C. Each row is true of our
/// line, and each line that only we can have is in the table.
fn in_print() {
    let rows = differences::rows("Our C and the printed C");
    for program in Program::SERVERS {
        let pairs = pairs(program);
        let article = (1..=pairs.len()).filter_map(|line| printed(program, line));
        let count = if program == Program::Treuseaddr { 66 } else { 75 };
        assert!(article.eq(1..=count), "the lines of the article, in order");

        let mut listed = Vec::new();
        for row in rows.iter().filter(|row| row[0] == "both" || row[0] == program.name()) {
            let [_, line, in_print, ours, _why] = &row[..] else { panic!("five cells: {row:?}") };
            if let Some((first, last)) = line.split_once(" to ") {
                let [first, last]: [usize; 2] =
                    [first, last].map(|n| n.parse().expect("the field is a number"));
                let article = [first, last]
                    .map(|line| printed(program, line).expect("the article has the line"));
                assert_eq!(*in_print, format!("lines {} to {}", article[0], article[1]));
                assert_eq!((first, last), (53, pairs.len()));
                continue;
            }
            let line: usize = line.parse().expect("the field is a number");
            let code = ours.trim_matches('`');
            assert!(pairs[line - 1].1.contains(code), "line {line} of {program:?} has no {code}");
            assert_eq!(in_print == "not there", printed(program, line).is_none(), "line {line}");
            listed.push(line);
        }
        for (line, c, _) in &pairs {
            let is_ours = printed(program, *line).is_none()
                || ["(void)", "#ifdef", "#endif", ")&", "pid_t"]
                    .iter()
                    .any(|ours| c.contains(ours));
            assert!(!is_ours || listed.contains(line), "line {line}: {c:?} is not in the table");
            assert!(!c.contains("//") && !c.contains("/*"), "line {line}: no comment of ours");
        }
    }
}

/// The Rust line has each call, text, number and closing brace of the C line, and no other call.
fn translated(program: Program) {
    for (number, c, rust) in pairs(program).into_iter().skip(9) {
        let c = match c.strip_prefix("#ifdef ") {
            Some(switch) => format!("if (defined({switch}))"),
            None => c.replace("#endif", "}"),
        };
        let (code, comment) = rust.split_once("// ").unwrap_or((&rust, ""));
        let complain = |what: &str| panic!("line {number}: {what}\n  C:    {c}\n  Rust: {rust}");
        let calls: Vec<_> = CALLS.iter().filter(|(rust, _)| has_call(code, rust)).collect();
        for call in c_calls(&c) {
            if NEEDLESS.contains(&call) {
                if !comment.contains(call) {
                    complain(&format!("no word on {call}"));
                }
            } else if !calls.iter().any(|(_, c_call)| *c_call == call) {
                complain(&format!("no {call}"));
            }
        }
        for (_, call) in calls {
            if !c_calls(&c).contains(call) {
                complain(&format!("{call} is not in the C"));
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

/// The calls of a C line: the words before a parenthesis, and `return` and `errno`.
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

/// Whether the line has `call`, and not as the end of a longer name.
fn has_call(line: &str, call: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.match_indices(call).any(|(at, _)| !line[..at].ends_with(is_name))
}

/// The sources are as rustfmt and clippy want them, without an exception. That they are is for CI to see.
fn without_exceptions() {
    for file in Program::ALL.map(|program| format!("src/{}.rs", program.name())) {
        let source = read(&file);
        assert!(!source.contains("rustfmt::skip") && !source.contains("allow("), "{file}");
        assert!(source.contains("#![forbid(unsafe_code)]"), "{file}");
    }
}
