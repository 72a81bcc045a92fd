package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// terminalCmd is `terminal DRAWINGS PROGRAM ARGUMENTS…`: it runs the program on a terminal until it has drawn that often,
// interrupts it as Ctrl-C does, upon which it must exit with 0, and prints what was drawn.
func terminalCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: terminal DRAWINGS PROGRAM ARGUMENTS…")
	}
	drawings, err := strconv.Atoi(args[0])
	ts.Check(err)
	terminal, screen, err := openTerminal()
	ts.Check(err)
	defer terminal.Close()
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	defer cancel()
	c := exec.CommandContext(ctx, lookPath(ts, args[1]), args[2:]...)
	var failed bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = screen, screen, &failed
	c.Env = []string{"HOME=" + ts.Getenv("HOME")}
	err = c.Start()
	screen.Close()
	ts.Check(err)
	drawn := readDrawings(terminal, drawings)
	ts.Check(c.Process.Signal(syscall.SIGINT))
	_, _ = io.Copy(io.Discard, terminal) // until nobody has the terminal open, which is an error
	if err := c.Wait(); err != nil {
		ts.Fatalf("on a terminal: %v: %s\n%s", err, &failed, drawn)
	}
	fmt.Fprint(ts.Stdout(), strings.ReplaceAll(drawn, "\r\n", "\n"))
}

// readDrawings returns what a program draws until it has done so that often, or ends.
func readDrawings(terminal io.Reader, drawings int) string {
	var drawn strings.Builder
	piece := make([]byte, 4096)
	for strings.Count(drawn.String(), clearScreen) < drawings {
		n, err := terminal.Read(piece)
		drawn.Write(piece[:n])
		if err != nil {
			break
		}
	}
	return drawn.String()
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
