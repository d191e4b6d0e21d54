# shellcheck shell=bash disable=SC1111,SC2034 # quotes of Chinese; the other files read them
# 演示用的中文。除错误以外，每行最多 80 列，一个汉字占两列；*词* 显示为粗体。
# 键的次序与 docs/demo.sh 相同。

declare -gA words=(
    [usage]="用法：docs/demo.sh [--c | --libc] [--only 1|2|3 | --all] [--no-pause | --split]
      docs/demo.sh --by-hand [--c | --libc] [--only 1|2|3 | --all]

编译服务器，用 nc 和 netstat 演示文章里的两个 SO_REUSEADDR（地址复用）实验，
每个实验都有一个意外；最后用一张表列出全部结果，对照预期与实际。
在终端上，显示每个答案之前先等你按 Enter；输入 b 再按 Enter 后退，输入 q 再按
Enter 退出。

  --only 1|2|3  只做一个实验：treuseaddr（1）、treuseaddr2（2），或者看后启动的
                程序能抢走哪些 UDP 数据报和 TCP 客户端（3）
  --all         三个都做；不写 --only 和 --all 时，做 1 和 2
  --no-pause    在终端上也不等你按 Enter
  --split       在 tmux 里显示同样的内容：服务器、nc 和 netstat 各占一格
  --c           用 C 程序，而不是 Rust 版
  --libc        让 Rust 版使用系统的 C 库
  --by-hand     只打印要输入的命令，什么也不运行；前面的数字是终端编号
  --lang LANG   en 或 zh；不写时由 locale 决定（LC_ALL、LC_MESSAGES、LANG）
  -h, --help    显示这段帮助

环境变量：CARGO_TARGET_DIR（默认 target/demo）、TMPDIR、NO_COLOR。
退出状态：0 全部符合预期，1 有结果不同或者出了错，2 用法错误，
129、130、141、143 分别表示被 SIGHUP、SIGINT、SIGPIPE、SIGTERM 终止
（用 nohup 运行时，SIGHUP 始终被忽略）。"

    # ---- 框架 ----
    [build]="编译程序，不带选项的和带选项的"
    [stdbuf]="（每个程序都由 stdbuf -oL 启动，让 C 库使用行缓冲，每一行都立即打印。）"
    [no-namespace]="这里不能创建网络命名空间（%s）：
改用本机的端口 %d，每个 TIME_WAIT 都得等它结束。"
    [waiting]="端口 %d 上的 TIME_WAIT：还剩 %d 秒"
    [count]="实验 %d，第 %d/%d 步 ·"
    [recap]="小结"
    [enter]="[Enter]"
    [keys]="（b：后退，q：退出）"
    [back]="（后退）"
    [afresh]="（换成了全新的网络命名空间，相当于程序都已经结束，又过了 60 秒。）"
    [by-hand]="1 和 2 是终端的编号：1 运行服务器和 netstat，2 运行 nc。
输入每条命令之前，先猜猜它会显示什么。"
    [seconds]="%s：还剩 %d 秒"
    [no-seconds]="%s 已经到期：按 Enter 重新生成一个"
    [anew]="（旧服务器留下的已经到期，这是重新生成的。）"
    [another-sender]="（%s 发不了多播和广播：改用 %s）"
    [ctrl-c]="相当于按 Ctrl+C"
    [server]="服务器"
    [child]="子进程"
    [client]="客户端"
    [typed]="输入"
    [kernel]="没有进程"
    [columns-of-netstat]="（省略了 netstat 的 Recv-Q 和 Send-Q 两栏；最后一栏是我们加的）"
    [differs]="这里不一样：预期“%s”，实际“%s”。"

    # ---- 结果表 ----
    [outcomes]="全部结果（旧、新：旧程序和新程序是否带选项）"
    [columns]="实验|旧|新|预期|实际"
    [without]="不带选项"
    [with]="带选项"
    [in-use]="被占用"
    [listens]="监听"
    [old]="旧的"
    [new]="新的"
    [both]="两个"
    [thief]="劫持者"
    [nobody]="没有"
    [ok]="符合"
    [not-ok]="不同"
    [in-use-is]="被占用：打印 \"bind: : Address already in use\"，退出状态 255"
    [in-use-of-nc]="被占用：打印 \"bind: : Address already in use\"，退出状态 255；
nc 打印自己的报错"
    [as-expected]="%d 个结果全部符合预期。"

    # ---- 错误，每个一行，在“demo.sh: ”之后 ----
    [not-linux]="本演示展示 Linux 的 TCP 和 UDP：请在 Linux 上运行"
    [no-sources]="docs/ 的上级目录里没有 src/treuseaddr.c：请在本项目的仓库里运行"
    [wrong-machine]="默认编译出的程序支持 x86_64、aarch64 和 riscv64，不支持 %s：请加上 --libc 或 --c"
    [signals-ignored]="这里忽略了 SIGINT 或 SIGPIPE：请在前台运行"
    [unknown-argument]="不认识的参数“%s”：见 --help"
    [c-or-libc]="--c 和 --libc 不能同时使用"
    [which-experiment]="--only 只能是 1、2 或 3：见 --help"
    [only-or-all]="--only 和 --all 只能写其中一个，只写一次"
    [which-language]="--lang 只能是下列之一：%s"
    [split-or-by-hand]="--split 和 --by-hand 不能同时使用"
    [split-pauses]="--split 会等你按 Enter：请去掉 --no-pause"
    [no-terminal]="--split 要从终端读取输入，并输出到终端"
    [small-terminal]="--split 需要 80 列 24 行的终端，这里是 %d 列 %d 行"
    [no-pane]="tmux 不能分割窗口"
    [tmux-ended]="tmux 已经结束：%s"
    [no-cargo]="缺少 cargo：请安装 Rust 1.88 或更新的版本（https://rustup.rs），或者加上 --c 使用 C 程序"
    [old-rust]="需要 Rust 1.88 或更新的版本，而这里是 %s：请从 https://rustup.rs 安装，或者加上 --c 使用 C 程序"
    [nc-with-options]="支持 -u、-s 和 -b 的 nc"
    [still-missing]="安装之后仍然缺少 %s"
    [failed]="“%s”失败：见上面的输出"
    [no-directory]="不能在 %s 中创建目录：请设置 TMPDIR"
    [cannot-enter]="不能进入 %s"
    [cannot-write]="不能写入 %s：请设置 CARGO_TARGET_DIR"
    [cannot-copy]="不能复制 %s"
    [cannot-execute]="不能执行 %s 中的程序，它可能以 noexec 挂载：请设置 TMPDIR"
    [no-output]="不能写到标准输出"
    [no-unshare]="缺少 unshare 或 nsenter"
    [no-network]="不能使用网络命名空间：%s"
    [port-in-use]="端口 %d 被占用：请停掉占用它的程序（%s）"
    [server-not-started]="服务器没有启动：%s"
    [receiver-not-started]="接收者没有启动：%s"
    [not-sent]="%s 没有发出数据报：%s"
    [netstat-failed]="%s 失败：%s"
    [bindtable-failed]="bindtable 没有显示出这个标志：%s"
    [outcomes-differ]="有 %d 个结果与预期不同，共 %d 个"
    [waited]="等了 %d 秒，没有等到：%s"
    [for-namespace]="网络命名空间"
    [for-time-wait-to-end]="端口 %d 上的 TIME_WAIT 结束"
    [for-listener]="服务器监听"
    [for-listener-or-end]="服务器监听或结束"
    [for-parent]="父进程结束"
    [for-server]="服务器结束"
    [for-nc]="nc 结束"
    [for-text]="“%s”（来自%s）"
    [for-row]="处于 %s 的一行"
    [for-receiver]="接收者占用端口"
    [for-delivery]="数据报送达"
    [for-reading]="接收者（%s）读取"
    [for-stop]="进程停下"
    [for-unread]="积压着、没有读取的数据"
    [for-group]="进程组 %s 结束"

    # ---- 实验一 ----
    [a-server-and-its-client]="服务器和它的客户端"
    [which-row-does-a-server-have]="启动服务器，不带选项。netstat 会显示哪一行？"
    [it-listens]="*LISTEN*：服务器在等客户端。"
    [how-many-rows-with-a-client]="一个客户端连上来，输入一行。现在有几行？"
    [three-rows]="*三行*：监听套接字，以及连接的两端。服务器那一端是另一个套接字，端口相同。"

    [the-server-stops-first]="服务器先停"
    [does-its-end-go-with-it]="在服务器上按 Ctrl+C。连接在服务器这一端会跟着消失吗？"
    [the-kernel-keeps-it]="*不会*。进程没了，内核还留着它（半关闭），等 nc 关闭另一端，最多 60 秒。"
    [is-the-port-free-without-nc]="现在把 nc 也停掉，进程都结束了。还剩哪几行？"
    [time-wait]="*TIME_WAIT*：先关闭的一端（主动关闭方）还要留 60 秒。这里是服务器。"
    [time-wait-at-once]="*不会*。这个 nc 也关闭了，但主动关闭方是服务器：它那一端没有进程，留在
*TIME_WAIT*，持续 60 秒。"

    [start-it-again]="再次启动"
    [can-the-same-server-bind]="再启动同一个服务器。它能绑定自己的地址吗？"
    [time-wait-holds-the-address]="*不能*。TIME_WAIT 占用着地址。"
    [can-a-server-with-the-option-bind]="文章的办法是 SO_REUSEADDR。带选项的新服务器能绑定吗？"
    [surprise-1]="意外一：*不能*。TIME_WAIT 记得旧服务器没有设置选项。只在新服务器里
设置，还不够。"

    [both-have-the-option]="双方都带选项"
    [does-this-time-wait-look-different]="再来一遍，但旧服务器带选项。它的 TIME_WAIT 会不同吗？"
    [the-flag-is-not-shown]="在 netstat 里*看不出不同*。其实这个 TIME_WAIT 带着一个标志，是从旧服务器
复制来的，只是 netstat 不显示。"
    [what-does-bindtable-find]="本仓库的 bindtable 试着 bind 一次，查出这个 TIME_WAIT 的标志。它会显示什么？"
    [the-flag-is-set]="*SO_REUSEADDR 已开启*：这就是那个标志。"
    [one-without-and-one-with]="先启动一个不带选项的新服务器，再启动一个带选项的。哪个能绑定？"
    [both-need-it]="*第二个*：新旧服务器都设置了选项。TIME_WAIT 还在，但不再挡住 bind。"
    [which-row-is-in-the-way]="再启动一个服务器，由 bindtable 解释它为什么失败。与它冲突的是哪一行？"
    [recap-1]="- 主动关闭方进入 TIME_WAIT，占用地址 60 秒。
- 旧服务器*和*新服务器都设置，SO_REUSEADDR 才有用。
- 所以，刚加上选项时，服务器还要等最后一个 TIME_WAIT 结束。"

    # ---- 实验二 ----
    [the-parent-exits-its-child-stays]="父进程退出，子进程留下"
    [who-listens-now]="treuseaddr2 会 fork：父进程退出，子进程与 nc 通信。现在谁在监听？"
    [the-child-listens]="*子进程*。fork 时它继承了监听描述符，一直没有关闭，也永远不会 accept。"
    [can-one-without-or-with-bind]="没有 TIME_WAIT。新服务器不带选项能绑定吗？带选项呢？"
    [listen-is-enough]="*都不能*。子进程有一个套接字处于 LISTEN，占用着地址。"

    [the-option-in-both]="双方都带选项"
    [does-the-option-close-the-listener]="再来一遍，但旧服务器带选项。子进程现在还在监听吗？"
    [the-child-listens-still]="*还在*：选项对子进程没有影响。"
    [does-the-article-s-restart-work]="文章说，带选项的新服务器现在能启动。能吗？"
    [surprise-2]="意外二：*不能*。SO_REUSEADDR 对处于 LISTEN 的套接字不起作用：子进程还在，
服务器就重启不了。（双方都设置 SO_REUSEPORT 就能启动，但子进程会分走一部分
客户端，又永远不 accept。）"

    [the-child-closes-the-listener]="子进程关闭监听套接字"
    [who-listens-after-close]="给子进程加一行 close(lfd)，放在循环之前。现在谁在监听？"
    [nobody-listens]="*没有套接字在监听*，只剩下连接。"
    [is-that-enough]="旧服务器不带选项。新服务器不带选项能绑定吗？带选项呢？"
    [the-connection-lacks-the-flag]="*都不能*。连接也复制了旧服务器的标志，而旧服务器没有设置。"
    [and-with-the-option-in-the-old-server]="再来一遍，但旧服务器带选项。哪个新服务器能绑定？"
    [the-article-is-right]="*带选项的*：没有套接字在监听，双方都设置了选项。程序改成这样，文章就说对了。"
    [recap-2]="- fork 之后，子进程也有监听套接字，直到它关闭自己那一份。
- SO_REUSEADDR 对 LISTEN 不起作用：这样的子进程还在，就不能重启。
- 即使子进程关闭了监听套接字，双方也都要设置。"

    # ---- 实验三 ----
    [the-first-receiver-has-no-option]="第一个接收者不带选项"
    [can-a-second-receiver-bind]="一个接收者占用着端口，不带选项。第二个不带选项能绑定吗？带选项呢？"
    [no-option-no-sharing]="*都不能*：不带选项的接收者不与别人共用端口。"
    [both-receivers-have-the-option]="两个接收者都带选项"
    [can-one-without-the-option-join]="现在第一个接收者带选项。不带选项的第二个能绑定吗？数据报归谁？"
    [the-first-is-served]="*不能*，UDP 也要双方都设置；数据报归唯一的接收者。"
    [who-gets-what]="第二个接收者带选项，双方都加入了同一个多播组。发往多播组的数据报归谁？
广播呢？发往 127.0.0.1 的呢？"
    [the-last-gets-the-unicast]="多播和广播*两个都收到*。发往 127.0.0.1 的只归*最后绑定的*，第一个收不到。"
    [a-thief]="劫持者"
    [can-another-user-take-it]="用户 nobody 启动第三个。下一个发往 127.0.0.1 的数据报归谁？"
    [the-thief-has-it]="*劫持者*：三个都设置了选项，内核不再问别的。"
    [no-other-user]="别的用户能不能抢走，这里试不了：请以 root 身份运行。
（%s）"
    [tcp-does-not-share]="TCP 不共用"
    [can-a-second-server-take-the-clients]="TCP：服务器不带选项。带选项的第二个能抢走它的客户端吗？"
    [the-first-answers]="*不能*。它绑定不了，应答的是第一个。"
    [and-if-the-first-one-has-the-option]="如果第一个带选项呢？试三个：不带选项的，带选项的，还有绑定所有地址的 nc
（nc 自己会设置选项）。"
    [not-while-it-listens]="*不能*。只要第一个还在这个地址上监听，SO_REUSEADDR 就没有用。"
    [and-on-a-more-specific-address]="现在 nc 在所有地址上监听，带选项。服务器能绑定 127.0.0.1 吗？"
    [specific-is-no-way-in]="*不能*。在 Linux 上，换成更具体的地址也不行。"
    [recap-3]="- UDP：接收者都要设置；地址相同，单播归最后绑定的。
- 所以，设置了选项的接收者可能被劫持，劫持者也可以是别的用户。
- TCP：服务器还在该地址上监听，靠 SO_REUSEADDR 抢不走它的客户端。"
)
