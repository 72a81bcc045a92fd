package redis

import (
	"context"
	_ "embed" // of the scripts
	"errors"
	"fmt"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/teishi-dev/teishi/policystore"
)

var (
	//go:embed append.lua
	appendLua string
	//go:embed seed.lua
	seedLua string
	//go:embed checkpoint.lua
	checkpointLua string
)

// scripts are what a publisher has Redis run. Each compares before it writes, so that it may be sent again.
type scripts struct{ append, seed, checkpoint *goredis.Script }

func newScripts() scripts {
	return scripts{goredis.NewScript(appendLua), goredis.NewScript(seedLua), goredis.NewScript(checkpointLua)}
}

// An answer is what a script says: a word, and for some words another.
type answer struct{ word, detail string }

// What the scripts answer when all is well; what else they answer says only that something is not as it was, which is looked
// at whole.
const (
	answerOK  = "OK"
	answerDup = "DUP" // the entry is there
)

func answerOf(c *goredis.Cmd) (answer, error) {
	words, err := c.StringSlice()
	switch {
	case err != nil:
		return answer{}, err
	case len(words) == 0:
		return answer{}, errors.New("a script says nothing")
	case len(words) == 1:
		return answer{word: words[0]}, nil
	}
	return answer{words[0], words[1]}, nil
}

// sent is an entry as it is sent.
type sent struct {
	policystore.Entry
	encoded []byte
}

func encoded(e policystore.Entry) (sent, error) {
	b, err := policystore.EncodeEntry(&e)
	return sent{e, b}, err
}

// append appends entries that follow each other, in one round trip, and returns what was answered to each of them, up to the
// first that was not answered.
func (p *Publisher) append(ctx context.Context, c *session, epoch int64, entries []sent) ([]answer, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	keys := []string{p.keys.log(), p.keys.meta()}
	args := func(e *sent) []any {
		return []any{epoch, int64(e.Revision), e.PreviousHash.String(), e.Hash.String(), e.encoded}
	}
	commands := make([]*goredis.Cmd, len(entries))
	_, _ = c.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
		for i := range entries {
			commands[i] = pipe.EvalSha(ctx, p.scripts.append.Hash(), keys, args(&entries[i])...)
		}
		return nil
	})
	if unknownScript(commands[0].Err()) {
		commands = []*goredis.Cmd{p.scripts.append.Run(ctx, c, keys, args(&entries[0])...)}
	}
	var answers []answer
	for i, command := range commands {
		a, err := answerOf(command)
		if err != nil {
			return answers, fmt.Errorf("append entry %d: %w", entries[i].Revision, err)
		}
		answers = append(answers, a)
	}
	return answers, nil
}

func unknownScript(err error) bool { return err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT") }
