package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// terminalCmd is `terminal PATTERN PROGRAM ARGUMENTS…`: it runs the program on a terminal until what it draws matches,
// interrupts it as Ctrl-C does, upon which it must exit with 0, and prints what was drawn.
func terminalCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: terminal PATTERN PROGRAM ARGUMENTS…")
	}
	pattern := regexp.MustCompile("(?s)" + args[0])
	terminal, screen, err := openTerminal()
	ts.Check(err)
	defer terminal.Close()
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	defer cancel()
	c := exec.CommandContext(ctx, lookPath(ts, args[1]), args[2:]...)
	var failed bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = screen, screen, &failed
	c.Env = []string{"HOME=" + ts.Getenv("HOME"), "PATH=" + ts.Getenv("PATH"), "TZ=" + ts.Getenv("TZ")}
	err = c.Start()
	screen.Close()
	ts.Check(err)
	var drawn strings.Builder
	readUntil(terminal, pattern, &drawn)
	ts.Check(c.Process.Signal(syscall.SIGINT))
	_, _ = io.Copy(&drawn, terminal) // until nobody has the terminal open, which is an error
	if err := c.Wait(); err != nil {
		ts.Fatalf("on a terminal: %v: %s\n%s", err, &failed, &drawn)
	}
	fmt.Fprint(ts.Stdout(), strings.ReplaceAll(drawn.String(), "\r\n", "\n"))
}

// readUntil reads what a program draws until it matches, or the program ends.
func readUntil(terminal io.Reader, pattern *regexp.Regexp, drawn *strings.Builder) {
	piece := make([]byte, 4096)
	for !pattern.MatchString(drawn.String()) {
		n, err := terminal.Read(piece)
		drawn.Write(piece[:n])
		if err != nil {
			return
		}
	}
}

// openTerminal returns both ends of a terminal: of who looks at it, and of the program.
func openTerminal() (terminal, screen *os.File, err error) {
	terminal, err = os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	number, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(terminal.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		screen, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		terminal.Close()
	}
	return terminal, screen, err
}
