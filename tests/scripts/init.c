/* The first process of a kernel that boot.sh boots: runs the program that its arguments name, says on
 * the console what the program has printed and how it has ended, and turns the machine off. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void insert_modules(void)
{
    struct dirent **names;
    int count = scandir("/modules", &names, NULL, alphasort);
    for (int at = 0; at < count; at++) {
        char path[300];
        int fd;
        if (names[at]->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/modules/%s", names[at]->d_name);
        fd = open(path, O_RDONLY);
        if (fd == -1 || syscall(SYS_finit_module, fd, "", 0) == -1)
            perror(path);
        close(fd);
    }
}

/* Prints a file between two lines that boot.sh looks for. */
static void print(const char *name, const char *path)
{
    static char buffer[65536];
    ssize_t count;
    int fd = open(path, O_RDONLY);
    printf("\n@@@ %s\n", name);
    fflush(stdout);
    while ((count = read(fd, buffer, sizeof(buffer))) > 0)
        fwrite(buffer, 1, count, stdout);
    fflush(stdout);
    close(fd);
}

int main(int argc, char *argv[])
{
    struct termios settings;
    int status = 0;
    pid_t pid;

    (void)argc; /* boot.sh names a program */
    mkdir("/proc", 0755);
    mkdir("/sys", 0755);
    mkdir("/dev", 0755);
    mkdir("/tmp", 01777);
    if (mount("proc", "/proc", "proc", 0, NULL) == -1 || mount("sys", "/sys", "sysfs", 0, NULL) == -1 ||
        mount("dev", "/dev", "devtmpfs", 0, NULL) == -1)
        perror("mount");
    insert_modules();
    klogctl(8, NULL, 1); /* SYSLOG_ACTION_CONSOLE_LEVEL: from here on the console is ours */
    if (tcgetattr(1, &settings) == 0) {
        settings.c_oflag &= ~OPOST;
        tcsetattr(1, TCSANOW, &settings);
    }
    pid = fork();
    if (pid == 0) {
        if (dup2(creat("/tmp/out", 0644), 1) == -1 || dup2(creat("/tmp/err", 0644), 2) == -1)
            _exit(127);
        execv(argv[1], argv + 1);
        perror(argv[1]);
        _exit(127);
    }
    waitpid(pid, &status, 0);
    print("out", "/tmp/out");
    print("err", "/tmp/err");
    printf("\n@@@ status %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    fflush(stdout);
    tcdrain(1);
    reboot(RB_POWER_OFF);
    return 0;
}
