#include "run/child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- signals ---- */

/* Those that somebody may send to a program by the id that he saw: ours. */
static const int passed_on[] = {SIGINT,  SIGQUIT, SIGTERM, SIGHUP, SIGUSR1,
                                SIGUSR2, SIGALRM, SIGCONT, SIGURG, SIGWINCH};
enum { PASSED_ON = sizeof passed_on / sizeof passed_on[0] };

static volatile pid_t receiver; /* 0: nobody is there yet, or any more */

/* The kernel's own, from the terminal, went to the whole process group. */
static void pass_on(int signal, siginfo_t *info, void *context)
{
    (void)context;
    int error = errno;
    if (info->si_code <= 0 && receiver != 0)
        kill(receiver, signal);
    errno = error;
}

static void take_signals(struct sigaction before[PASSED_ON])
{
    struct sigaction action = {.sa_sigaction = pass_on, .sa_flags = SA_SIGINFO | SA_RESTART};
    for (int i = 0; i < PASSED_ON; i++)
        sigaction(passed_on[i], &action, &before[i]);
}

static void leave_signals(const struct sigaction before[PASSED_ON])
{
    for (int i = 0; i < PASSED_ON; i++)
        sigaction(passed_on[i], &before[i], NULL);
}

/* ---- the child ---- */

/* In the memory of the parent, which stands still: no more than is written here. A handler of the
 * parent's must not run in it, so signals wait until there is none. */
static _Noreturn void become(char **command, char *pid_text, size_t pid_size, volatile int *error,
                             const struct sigaction before[PASSED_ON], const sigset_t *mask)
{
    leave_signals(before);
    sigprocmask(SIG_SETMASK, mask, NULL);
    snprintf(pid_text, pid_size, "%ld", (long)getpid());
    execvp(*command, command);
    *error = errno;
    _exit(127);
}

static pid_t start(char **command, bool tell_pid, volatile int *error,
                   const struct sigaction before[PASSED_ON], const sigset_t *mask)
{
    static char entry[] = CHILD_PID_VARIABLE "=-2147483648";
    char *pid_text = entry + sizeof CHILD_PID_VARIABLE;
    if (tell_pid)
        putenv(entry);
    pid_t child = vfork();
    if (child == 0)
        become(command, pid_text, sizeof entry - sizeof CHILD_PID_VARIABLE, error, before, mask);
    if (child < 0)
        *error = errno;
    return child;
}

/* Its id may be another's as soon as it is waited for; so signals stop before. */
static int wait_for(pid_t child, struct rusage *usage)
{
    siginfo_t ended;
    int status = 0;
    while (waitid(P_PID, (id_t)child, &ended, WEXITED | WNOWAIT) != 0 && errno == EINTR)
        continue;
    receiver = 0;
    while (wait4(child, &status, 0, usage) < 0 && errno == EINTR)
        continue;
    return status;
}

/* ---- its figures ---- */

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

struct child_figures child_run(char **command, bool tell_pid)
{
    struct sigaction before[PASSED_ON];
    struct rusage usage = {0};
    sigset_t all, mask;
    volatile int error = 0;
    int status = 0;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &mask);
    take_signals(before);
    double start_s = now_s();
    pid_t child = start(command, tell_pid, &error, before, &mask);
    receiver = child > 0 ? child : 0;
    sigprocmask(SIG_SETMASK, &mask, NULL);
    if (child > 0)
        status = wait_for(child, &usage);
    double wall_s = now_s() - start_s;
    leave_signals(before);
    return (struct child_figures){
        .wall_s = wall_s,
        .user_s = seconds(usage.ru_utime),
        .sys_s = seconds(usage.ru_stime),
        .rss_peak_kb = usage.ru_maxrss,
        .minor_faults = usage.ru_minflt,
        .major_faults = usage.ru_majflt,
        .error = error,
        .status = status,
    };
}

/* The program has left its core file; another of ours would be in its way. */
void child_end_like(int status)
{
    struct rlimit no_core = {0, 0};
    if (!WIFSIGNALED(status))
        exit(WEXITSTATUS(status));
    int signal_number = WTERMSIG(status);
    sigset_t only;
    setrlimit(RLIMIT_CORE, &no_core);
    fflush(NULL);
    signal(signal_number, SIG_DFL);
    sigemptyset(&only);
    sigaddset(&only, signal_number);
    sigprocmask(SIG_UNBLOCK, &only, NULL);
    raise(signal_number);
    exit(128 + signal_number);
}
