"""What dnf would install into an empty root, for many requests at once.

usage: dnf-answers.py CACHE PLATFORM REPOSITORY… < requests > answers

Each REPOSITORY is a directory with repodata/. Each line of the requests is a list of specs, separated by blanks; `--weak`
takes weak dependencies too, `--nobest` takes what works, `--exclude=GLOB` and `--stream=MODULE:STREAM` do what they say.
An answer is `== REQUEST` and a line for each package, or `!` where dnf finds none.
"""

import re
import sys

import dnf
import dnf.exceptions
import dnf.module.module_base


def base_of(cache, platform, repositories, excludes, streams):
    base = dnf.Base()
    conf = base.conf
    conf.read(filename="/dev/null")
    conf.installroot = cache + "/root"
    conf.cachedir = cache + "/cache"
    conf.persistdir = cache + "/persist"
    conf.logdir = cache
    conf.module_platform_id = platform
    conf.substitutions["releasever"] = "9"
    conf.substitutions["arch"] = "x86_64"
    conf.substitutions["basearch"] = "x86_64"
    conf.excludepkgs = excludes
    conf.strict = True
    for number, path in enumerate(repositories):
        base.repos.add_new_repo("repo%d" % number, conf, baseurl=["file://" + path], metadata_expire=-1)
    base.fill_sack(load_system_repo=False)
    base.read_comps(arch_filter=True)
    if streams:
        dnf.module.module_base.ModuleBase(base).enable(streams)
    return base


def answer(base, specs, options):
    base.reset(goal=True)
    base.conf.install_weak_deps = "--weak" in options
    base.conf.best = "--nobest" not in options
    try:
        base.install_specs(specs, strict=True)
        base.resolve()
    except dnf.exceptions.Error as error:
        sys.stderr.write("%s: %s\n" % (" ".join(specs), str(error).replace("\n", " ")[:300]))
        return ["!"]
    return sorted("%s-%s.%s" % (p.name, p.evr, p.arch) for p in base.transaction.install_set)


def requests():
    """Each line of the input, with its specs, options, excludes and streams."""
    for line in sys.stdin:
        line = line.split("#")[0].strip()
        if not line:
            continue
        words = re.findall(r'"[^"]*"|\S+', line)
        options = [word for word in words if word.startswith("--")]
        specs = [word.strip('"') for word in words if not word.startswith("--")]
        excludes = tuple(word[10:] for word in options if word.startswith("--exclude="))
        streams = tuple(word[9:] for word in options if word.startswith("--stream="))
        yield line, specs, options, excludes, streams


def main():
    cache, platform, repositories = sys.argv[1], sys.argv[2], sys.argv[3:]
    bases = {}
    for line, specs, options, excludes, streams in requests():
        key = (excludes, streams)
        if key not in bases:
            try:
                bases[key] = base_of(cache, platform, repositories, list(excludes), list(streams))
            except dnf.exceptions.Error:
                bases[key] = None
        print("==", line)
        base = bases[key]
        print("\n".join(answer(base, specs, options) if base else ["!"]))


if __name__ == "__main__":
    main()
