"""The type of the `data` of each event type."""

from collections.abc import Mapping

from runyard_service.domain.event_payloads import (
    input_requests,
    messages,
    operations,
    runs,
    tool_calls,
)
from runyard_service.domain.events import EventType

EVENT_PAYLOADS: Mapping[EventType, type] = {
    "run.started": runs.RunStarted,
    "agent.tools.listed": tool_calls.ToolsListed,
    "agent.reasoning.delta": messages.ReasoningDelta,
    "agent.response.delta": messages.ResponseDelta,
    "agent.message.completed": messages.MessageCompleted,
    "agent.context.compacted": messages.ContextCompacted,
    "agent.tool_call.started": tool_calls.ToolCallPayload,
    "agent.tool_call.progress": tool_calls.ToolCallProgress,
    "agent.tool_call.input_required": tool_calls.ToolCallInputRequired,
    "agent.tool_call.completed": tool_calls.ToolCallCompleted,
    "agent.tool_call.failed": tool_calls.ToolCallFailed,
    "agent.human_feedback.requested": input_requests.FeedbackRequested,
    "agent.human_feedback.received": input_requests.FeedbackReceived,
    "approval_request.created": input_requests.ApprovalRequested,
    "approval_request.resolved": input_requests.ApprovalResolved,
    "input_request.expired": input_requests.InputExpired,
    "agent.step.started": operations.StepPayload,
    "agent.step.completed": operations.StepCompleted,
    "agent.step.failed": operations.StepFailed,
    "agent.emitted": operations.Emitted,
    "run.paused": runs.RunPaused,
    "run.resumed": runs.RunPayload,
    "run.recovered": runs.RecoveredPayload,
    "run.retrying": runs.RunRetrying,
    "run.cancel_requested": runs.CancelRequested,
    "run.completed": runs.RunCompleted,
    "run.failed": runs.RunFailed,
    "run.canceled": runs.RunPayload,
}
