"""How a run of the queue is told: one line a step, and the way to go on."""

from etl.bus import JobReport, Step
from etl.commands.options import Voice


def tell_report(voice: Voice, report: JobReport) -> None:
    """Say how each step of a run ended, and the resume command when one failed."""
    for step in report.steps:
        voice.say(_line(step))
    if report.failed_step is not None:
        voice.say(f"mend the cause, then go on with: {report.resume}")


def _line(step: Step) -> str:
    figures = ", ".join(
        f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}"
        for name, value in step.result.items()
        if not isinstance(value, (list, dict)) and value not in (0, None)
    )
    told = step.message if step.status != "done" and step.message else figures
    return f"{step.command}: {step.status}" + (f" ({told})" if told else "")


def chain_of(report: JobReport) -> list[dict[str, str]]:
    """The commands that followed the first one, and how each ended."""
    return [{"command": step.command, "status": step.status} for step in report.steps[1:]]


def report_document(report: JobReport) -> dict[str, object]:
    """Describe a run as JSON."""
    return {
        "run_id": report.run_id,
        "steps": [
            {
                "job_id": step.job_id,
                "command": step.command,
                "status": step.status,
                "result": dict(step.result),
                "message": step.message,
            }
            for step in report.steps
        ],
        "resume": report.resume,
    }
