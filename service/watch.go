package service

import (
	"errors"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// WatchDecisions tells answers, and each that changes.
func (d *decisionServer) WatchDecisions(*teishiv1.WatchDecisionsRequest, teishiv1.DecisionService_WatchDecisionsServer) error {
	return errors.New("not yet")
}
