#include "cmd/interrupt.h"

#include "cmd/session.h"

#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t is_asked;
static volatile sig_atomic_t ends_at_once;
static volatile sig_atomic_t wants_status;

static void on_stop(int number)
{
    (void)number;
    if (is_asked || ends_at_once)
        _exit(OV_EXIT_INTERRUPTED); /* nothing committed can be harmed */
    is_asked = 1;
}

static void on_status(int number)
{
    (void)number;
    wants_status = 1;
}

void ov_interrupt_install(void)
{
    struct sigaction action = {.sa_handler = on_stop};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL); /* without SA_RESTART: a prompt ends */
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = on_status;
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

void ov_interrupt_end_at_once(bool at_once)
{
    ends_at_once = at_once;
    if (at_once && is_asked)
        _exit(OV_EXIT_INTERRUPTED);
}

bool ov_interrupt_is_asked(void)
{
    return is_asked;
}

bool ov_interrupt_take_status(void)
{
    bool wanted = wants_status;
    if (wanted)
        wants_status = 0;
    return wanted;
}
