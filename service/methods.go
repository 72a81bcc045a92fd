package service

import (
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// manner is how the calls of a method are treated. The zero value is that of an administrative method: unknown fields are
// refused, the constraints of the protos hold, and every call has a line in the log.
type manner struct {
	plain   bool // none of that: the method looks after itself, or is not ours
	quiet   bool // called all the time: only a call that fails has a line in the log
	endless bool // a stream that callers hold open: it ends when the server drains
	anybody bool // needs no credential
	limit   int  // bytes of a message; 0 is maxMessage
}

// maxQuestion bounds a message that asks one question.
const maxQuestion = 64 << 10

// manners lists every method that is not administrative.
var manners = map[string]manner{
	teishiv1.DecisionService_Check_FullMethodName:         {plain: true, limit: maxQuestion},
	teishiv1.DecisionService_BatchCheck_FullMethodName:    {plain: true},
	teishiv1.DecisionService_ListDecisions_FullMethodName: {plain: true, limit: maxQuestion},

	teishiv1.DecisionService_StreamCheck_FullMethodName:    {plain: true, limit: maxQuestion, endless: true},
	teishiv1.DecisionService_WatchDecisions_FullMethodName: {plain: true, endless: true},

	teishiv1.RestrictionService_GetRestrictions_FullMethodName:   {quiet: true, limit: maxQuestion},
	teishiv1.RestrictionService_WatchRestrictions_FullMethodName: {quiet: true, limit: maxQuestion, endless: true},

	teishiv1.LogService_Tail_FullMethodName:    {endless: true, limit: maxQuestion},
	teishiv1.LogService_Report_FullMethodName:  {quiet: true, limit: maxQuestion},
	teishiv1.LogService_GetHead_FullMethodName: {quiet: true, limit: maxQuestion},

	healthv1.Health_Check_FullMethodName: {plain: true, anybody: true, limit: maxQuestion},
	healthv1.Health_List_FullMethodName:  {plain: true, anybody: true, limit: maxQuestion},
	healthv1.Health_Watch_FullMethodName: {plain: true, anybody: true, limit: maxQuestion, endless: true},

	reflectionv1.ServerReflection_ServerReflectionInfo_FullMethodName: {plain: true, limit: maxQuestion, endless: true},
}
