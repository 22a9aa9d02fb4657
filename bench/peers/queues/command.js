// The command line of each queue: prepare|drain|share|create URL JOBS SETTING; see command.py.
const fs = require("fs");

exports.perform = async ({ prepare, drain, share, create }) => {
  const [what, url, jobs, setting] = [process.argv[2], process.argv[3], +process.argv[4], +process.argv[5]];
  if (what === "prepare") {
    await prepare(url, jobs);
    process.exit(0);
  }
  const began = process.hrtime.bigint();
  const before = process.cpuUsage();
  const done = await { drain, share, create }[what](url, jobs, setting);
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  const used = process.cpuUsage(before);
  const figures = { jobs: done, seconds, cpu_seconds: (used.user + used.system) / 1e6 };
  fs.writeFileSync(process.env.JOBCRON_BENCH_FIGURES, JSON.stringify(figures));
  process.exit(0);
};
