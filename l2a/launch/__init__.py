"""Jobs that outlive whoever started them: trainings, on this machine or wherever a command can start them.

    jobs = launcher(settings)
    jobs.submit("grpo-20261122", ["l2a", "train", "grpo", ...])   found again if it runs, started again if it died
    jobs.status("grpo-20261122").state

A job is a folder beside the checkpoints. What is known of it lies there, so that a scheduler, a task or a host that was
killed finds the job again instead of starting a second one.

    <train.folder>/jobs/<name>/job.json       the command, and every start of it
                               running.lock   held by the processes of a job on this machine, as long as one lives
                               start-1.json   which process group the first start is
                               exit-1.json    how it ended
                               log-1.txt      what it said
                  jobs-elsewhere/<name>/job.json   the same of a job that the launcher's commands start
"""

from l2a.launch.launcher import Launcher, jobs_folder, launcher
from l2a.launch.record import Job, State, Status

__all__ = ["Job", "Launcher", "State", "Status", "jobs_folder", "launcher"]
