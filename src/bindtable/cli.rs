//! The arguments, and what `--help` says of them, in both languages.

use crate::kernel::Proto;
use crate::named::{Format, Named, one_of};
use crate::port::Target;
use crate::table::cell::{self, Cell, State};
use crate::table::questions::{self, Question};
use crate::table::report;
use crate::{say, why, words};
use clap::builder::NonEmptyStringValueParser;
use clap::error::{ContextKind, ErrorKind};
use clap::{Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::error::Error;
use std::ffi::OsString;
use std::num::NonZeroU8;

#[derive(Parser)]
#[command(
    version,
    about = words!(
        "May a socket B bind where a socket A is? Each pairing, tried on this kernel",
        "端口已被套接字 A 占用，套接字 B 还能绑定吗？在本机内核上逐一试验每种组合"
    ),
    after_help = notes(),
    args_conflicts_with_subcommands = true
)]
pub struct Arguments {
    #[command(subcommand)]
    pub task: Option<Task>,
    #[command(flatten)]
    pub filter: Filter,
    #[command(flatten)]
    pub output: Output<report::Format>,
    /// For `--help`: main has read it before clap does.
    #[arg(long = "lang", global = true, value_name = "LANG", help = words!(
        "en or zh; without it, the locale decides (LC_ALL, LC_MESSAGES, LANG)",
        "en 或 zh；不写时由 locale 决定（LC_ALL、LC_MESSAGES、LANG）"
    ))]
    _lang: Option<String>,
}

#[derive(Subcommand)]
pub enum Task {
    #[command(
        about = words!(
            "Try one cell or several, and say which condition of the kernel decides each",
            "试一格或几格，并指出内核的哪个条件决定了结果"
        ),
        after_help = notes()
    )]
    Explain {
        #[arg(required = true, value_name = "CELL", help = words!(
            "As in tcp/127.0.0.1+reuseaddr/time-wait/127.0.0.1+reuseaddr",
            "例如 tcp/127.0.0.1+reuseaddr/time-wait/127.0.0.1+reuseaddr"
        ))]
        cells: Vec<Cell>,
        #[command(flatten)]
        output: Output<Format>,
    },
    #[command(
        about = words!(
            "Who holds this port, may a new server bind it, and what would help",
            "端口被谁占用，新服务器能不能绑定，该怎么办"
        ),
        after_help = port_notes()
    )]
    Port {
        #[arg(help = words!(
            "PORT, ADDRESS:PORT or [ADDRESS]:PORT, as in 3459, 127.0.0.1:3459, [::1]:3459",
            "端口，或者“地址:端口”、“[地址]:端口”，例如 3459、127.0.0.1:3459、[::1]:3459"
        ))]
        target: Target,
        #[arg(long, help = words!("UDP in place of TCP", "查 UDP 端口，不查 TCP"))]
        udp: bool,
        #[arg(long, help = words!(
            "Bind the port itself where the answer is not certain, and close it at once; it takes the port \
             for that moment, and a trace may stay (see below)",
            "答案不确定的，真正 bind 这个端口来查清，随即释放；那一瞬间会占用端口，还可能留下痕迹（见下文）"
        ))]
        probe: bool,
        #[command(flatten)]
        output: Output<Format>,
    },
    #[command(
        about = words!(
            "Run a command, and explain each bind, listen and connect that fails",
            "运行一个命令，说明其中的 bind、listen 和 connect 为什么失败"
        ),
        after_help = why::words::notes()
    )]
    Why(why::Arguments),
    #[command(about = words!(
        "Compare this kernel with a saved run; status 1 if any cell differs",
        "把本机内核与保存下来的结果作比较；只要有一格不同，退出状态就是 1"
    ))]
    Diff {
        #[arg(help = words!(
            "Made by `bindtable --format json > FILE`, here or on another kernel",
            "保存下来的结果，由 bindtable --format json > FILE 生成，可以来自别的内核"
        ), value_parser = NonEmptyStringValueParser::new())]
        file: String,
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        output: Output<report::Format>,
    },
}

#[derive(Args)]
pub struct Filter {
    #[arg(long, value_parser = one_of::<Proto>(), help = words!("The cells of this protocol", "只试这个协议的格子"))]
    pub proto: Option<Proto>,
    #[arg(long, value_parser = one_of::<State>(), help = words!("The cells with A in this state", "只试 A 处于这个状态的格子"))]
    pub state: Option<State>,
    #[arg(long, value_name = "NAME", help = words!(
        "One table; its name stands beside its title",
        "只试一张表；表名写在标题旁边"
    ))]
    pub question: Option<String>,
    #[arg(long, value_name = "N", value_parser = threads, help = words!(
        "How many cells are tried at once, each thread in a network namespace of its own; four for \
         each processor by default, since a cell mostly waits",
        "同时试几格；每个线程有自己的网络命名空间；默认是处理器个数的四倍，因为一格大部分时间在等待"
    ))]
    pub jobs: Option<NonZeroU8>,
}

impl Filter {
    /// Whether it is wanted; `--question` aside.
    pub fn wants(&self, cell: &Cell) -> bool {
        self.proto.is_none_or(|proto| proto == cell.proto)
            && self.state.is_none_or(|state| state == cell.state)
    }

    /// The tables with what is wanted of them.
    pub fn questions(&self) -> Result<Vec<Question>, String> {
        let mut questions = questions::all();
        if let Some(name) = &self.question {
            if !questions.iter().any(|question| question.name == name) {
                let names: Vec<&str> = questions.iter().map(|question| question.name).collect();
                return Err(say!(
                    "--question: '{name}' is none of {names}",
                    "--question：没有“{name}”，可选：{names}",
                    names = names.join(", ")
                ));
            }
            questions.retain(|question| question.name == name);
        }
        let questions =
            questions.into_iter().map(|question| question.narrowed(|cell| self.wants(cell)));
        Ok(questions.filter(|question| !question.rows.is_empty()).collect())
    }
}

/// How the answer is laid out, in the formats that it may have.
#[derive(Args)]
pub struct Output<F: Named> {
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = one_of::<F>(), help = words!(
        "How the answer is laid out",
        "输出格式"
    ))]
    pub format: F,
}

fn threads(text: &str) -> Result<NonZeroU8, String> {
    text.parse().map_err(|_| say!("a number from 1 to 255 is needed", "应为 1 到 255 的整数"))
}

/// What stands below the options of `port`.
fn port_notes() -> &'static str {
    words!(
        "\
It stops nothing, and takes only ports of the kernel's choice, each for a moment. Without --probe it
binds your port in one case: a TIME_WAIT, or another connection without a process, holds it. That bind
tells whether the connection had the option, and is closed at once. Of several at one address, it tells
whether all had it. What is not certain then is bound, too, where no trace of that stays. With --probe
it binds your port where an answer is not certain, and at a free port once for each address. A kernel
before 6.8 does not list every socket: there --probe is always on.

Such a bind may leave a trace. While any socket has the port, the kernel remembers the last bind with
SO_REUSEPORT (fastreuseport). A bind with that option plants the memory, and one without it clears it.
So a later bind with SO_REUSEPORT may fail where it had succeeded. Where this command cannot clear what
it has planted, such a bind may succeed where it had failed. Nothing else changes. The memory may be of
a socket that has gone, or has cleared the option: no list tells of it. So \"no\" with SO_REUSEPORT is
not certain. Without such a bind it can be wrong.

To read the options of a socket it copies its descriptor, and closes the copy at once. With --format
json, null is what is unknown; `answer` and system errors are sentences, and all else is the same in
each language.

Exit status: 0 if the port is free, 1 if a socket holds it, 2 if that could not be found out.",
        "\
这个命令不会停掉任何进程，只会短暂占用由内核挑选的端口。不加 --probe 时，只有端口被 TIME_WAIT 或者别的没有
进程的连接占用，才会绑定你的端口：这次 bind 能看出那条连接带不带选项，随即释放；同一地址上有几条时，只能
看出是不是全都带；此后仍然不确定的，只要不会留下痕迹，也用 bind 来试。加上 --probe，答案不确定的地方都会
绑定你的端口；端口空闲时，每个地址绑定一次。6.8 之前的内核不能列出全部套接字，所以总是按 --probe 来查。

这样的 bind 可能留下痕迹。只要端口上还有套接字，内核就保留最近一次带 SO_REUSEPORT 的 bind 的记录
（fastreuseport）：带这个选项的 bind 会写入这条记录，不带的会清除它。所以之后带 SO_REUSEPORT 的 bind，
本来能成功的可能失败；如果这个命令清除不了自己写入的记录，本来会失败的也可能成功。除此之外什么都不变。
这条记录可能来自已经消失或者清除了选项的套接字，哪张表里都看不到；所以 SO_REUSEPORT 的“不能”并不确定，
没有这样 bind 过，就可能不准。

要读取别的进程的套接字选项，它会复制那个文件描述符，副本也随即关闭。用 --format json 时，null 表示未知；
answer 和系统的错误是给人读的句子，其余内容不随语言而变。

退出状态：0 端口空闲；1 端口被套接字占用；2 无法确定。"
    )
}

/// What stands below the options.
fn notes() -> String {
    let notes = words!(
        "\
Each cell has a port of its own, in a network namespace of this program's: made as root, or by a
user where user namespaces are allowed. Otherwise it is done on the real loopback, without what
needs a namespace, and TIME_WAITs stay there for a minute. Two users' cells need root.
What can't be tried is named with its reason.

With --format json each cell has a line. Names, verdicts and deliveries are the same in each language.
Titles, notes, labels, conditions, reasons and versions are for readers, and follow it.

Exit status: 0; 1 if a cell differs (diff); 2 after an error; 3 if a cell was not tried.",
        "\
每一格单独用一个端口，在本程序自己的网络命名空间里试。创建网络命名空间，要以 root 身份运行，或者系统
允许普通用户使用用户命名空间。否则就直接在本机的回环接口上试：离不开命名空间的格子会跳过，留下的
TIME_WAIT 要过一分钟才消失。涉及两个用户的格子需要 root。没有试的格子都会写明原因。

用 --format json 时，每格一行；名字、结果和接收者不随语言而变；标题、说明、标签、条件、原因和版本是给
人读的，用所选的语言写出。

退出状态：0 正常；1 有格子不同（diff）；2 出错；3 有格子没有试。"
    );
    format!("{}\n{notes}", cell::grammar())
}

/// The command with what clap says by itself in Chinese.
fn in_chinese(command: Command) -> Command {
    let mut command = command.mut_args(|arg| {
        let mut help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        match arg.get_id().as_str() {
            "help" => help = "显示帮助".to_owned(),
            "version" => help = "显示版本".to_owned(),
            _ => {}
        }
        if arg.get_action().takes_values() {
            let values: Vec<_> = arg.get_possible_values();
            let values: Vec<&str> = values.iter().map(|value| value.get_name()).collect();
            if !values.is_empty() {
                help += &format!("（{}）", values.join("、"));
            }
            if let [default] = arg.get_default_values() {
                help += &format!("，默认 {}", default.to_string_lossy());
            }
        }
        arg.help(help).hide_possible_values(true).hide_default_value(true)
    });
    if command.get_name() == "help" {
        command = command.about("显示帮助，或者某个命令的帮助");
    }
    let usage = command.render_usage().to_string();
    let usage = usage.replace("Usage: ", "用法：").replace("\n       ", "\n      ");
    let mut template = format!("{{about-with-newline}}\n{usage}\n");
    if command.has_subcommands() {
        template += "\n命令：\n{subcommands}\n";
    }
    if command.get_positionals().next().is_some() {
        template += "\n参数：\n{positionals}\n";
    }
    template += "\n选项：\n{options}{after-help}";
    command.help_template(template).mut_subcommands(in_chinese)
}

/// The arguments, read by clap.
pub fn parsed(arguments: Vec<OsString>) -> Result<Arguments, clap::Error> {
    let mut command = Arguments::command();
    command.build();
    let command = words!(command, in_chinese(command));
    Arguments::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

/// What is wrong with the arguments.
pub fn one_line(error: &clap::Error) -> String {
    let get = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let (word, usage) = (get(ContextKind::InvalidArg), get(ContextKind::Usage));
    let is_word = error.kind() == ErrorKind::UnknownArgument && !word.starts_with('-');
    if is_word && usage.contains(" why ") {
        return say!(
            "'{word}' comes after --, as in: bindtable why -- {word}",
            "“{word}”要写在 -- 之后，例如：bindtable why -- {word}"
        );
    }
    words!(english_line(error), chinese_line(error))
}

fn chinese_line(error: &clap::Error) -> String {
    let get = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let argument = get(ContextKind::InvalidArg);
    let (value, valid) = (get(ContextKind::InvalidValue), get(ContextKind::ValidValue));
    let (command, prior) = (get(ContextKind::InvalidSubcommand), get(ContextKind::PriorArg));
    let line = match error.kind() {
        ErrorKind::ValueValidation => {
            let source = error.source().map(ToString::to_string).unwrap_or_default();
            return format!("{argument} 的值“{value}”无效：{source}");
        }
        ErrorKind::InvalidValue if value.is_empty() => format!("{argument} 缺少值"),
        ErrorKind::InvalidValue => format!("{argument} 的值“{value}”无效，可选：{valid}"),
        ErrorKind::UnknownArgument => format!("不认识的参数 {argument}"),
        ErrorKind::InvalidSubcommand => format!("不认识的命令 {command}"),
        ErrorKind::MissingRequiredArgument => format!("缺少参数 {argument}"),
        ErrorKind::ArgumentConflict if prior == argument => format!("{argument} 只能写一次"),
        ErrorKind::ArgumentConflict => format!("{argument}{command} 不能与 {prior} 同时使用"),
        _ => english_line(error),
    };
    format!("{line}；见 --help")
}

/// What clap says in several lines, without the usage.
fn english_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .filter(|line| !line.is_empty())
        .map(|line| match line.starts_with("tip:") {
            true => format!("({line})"),
            false => line.to_owned(),
        });
    let line = lines.collect::<Vec<_>>().join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    match error.kind() {
        ErrorKind::ValueValidation => line.to_owned(),
        _ => format!("{line}; see --help"),
    }
}
