"""What libsolv by its own policy would install into an empty root, for many requests at once: a second opinion to dnf's.

usage: libsolv-answers.py CACHE PLATFORM REPOSITORY… < requests > answers

Requests and answers are those of dnf-answers.py. libsolv knows no modules, so dnf is asked what they and the excludes
hide, and nothing else. Left out are requests with a group, which is a package to libsolv and a list to dnf, and those with a
pattern of versions, which libsolv does not read.
"""

import glob
import os
import re
import runpy
import sys

import dnf.exceptions
import solv

DNF = runpy.run_path(os.path.join(os.path.dirname(__file__), "dnf-answers.py"), run_name="library")

SELECTION = (
    solv.Selection.SELECTION_NAME
    | solv.Selection.SELECTION_PROVIDES
    | solv.Selection.SELECTION_GLOB
    | solv.Selection.SELECTION_CANON
    | solv.Selection.SELECTION_DOTARCH
    | solv.Selection.SELECTION_REL
)


def pool_of(repositories):
    pool = solv.Pool()
    # As the distribution builds it: versions of its kind, packages of two architectures side by side.
    pool.setdisttype(solv.Pool.DISTTYPE_RPM)
    pool.set_flag(solv.Pool.POOL_FLAG_IMPLICITOBSOLETEUSESCOLORS, True)
    pool.setarch("x86_64")
    for path in repositories:
        repo = pool.add_repo(path)
        for end, language, flags in [("primary", None, 0), ("filelists", "FL", solv.Repo.REPO_EXTEND_SOLVABLES)]:
            found = glob.glob("%s/repodata/*-%s.xml.gz" % (path, end))
            if found:
                repo.add_rpmmd(solv.xfopen(found[0]), language, flags)
    pool.addfileprovides()
    return pool


def name_of(package):
    return "%s-%s.%s" % (package.name, package.evr, package.arch)


def answer(pool, specs, options):
    jobs = []
    action = solv.Job.SOLVER_INSTALL
    if "--nobest" not in options:
        action |= solv.Job.SOLVER_FORCEBEST
    for spec in specs:
        flags = SELECTION | (solv.Selection.SELECTION_FILELIST if spec.startswith("/") else 0)
        selection = pool.select(spec, flags)
        if selection.isempty():
            return ["!"]
        jobs += selection.jobs(action)
    solver = pool.Solver()
    solver.set_flag(solv.Solver.SOLVER_FLAG_IGNORE_RECOMMENDED, "--weak" not in options)
    solver.set_flag(solv.Solver.SOLVER_FLAG_NO_INFARCHCHECK, True)
    if solver.solve(jobs):
        return ["!"]
    return sorted(name_of(package) for package in solver.transaction().newsolvables())


def main():
    cache, platform, repositories = sys.argv[1], sys.argv[2], sys.argv[3:]
    pool = pool_of(repositories)
    visible = {}
    for line, specs, options, excludes, streams in DNF["requests"]():
        if any(re.match(r"@|.*-[0-9].*\*", spec) for spec in specs):
            continue
        key = (excludes, streams)
        if key not in visible:
            try:
                base = DNF["base_of"](cache, platform, repositories, list(excludes), list(streams))
                names = {"%s-%s.%s" % (p.name, p.evr, p.arch) for p in base.sack.query().available()}
            except dnf.exceptions.Error:
                names = set()
            visible[key] = [package.id for package in pool.solvables_iter() if name_of(package) in names]
        pool.set_considered_list(visible[key])
        # Without what is hidden, or the best of all would be.
        pool.createwhatprovides()
        print("==", line)
        print("\n".join(answer(pool, specs, options)))


if __name__ == "__main__":
    main()
