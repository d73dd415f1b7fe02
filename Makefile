# Everything a developer does here. The work is done by scripts/, each of which says how it goes on.
BIN := .venv/bin

# As many test processes as there are processors, two at least: much of a test is waiting.
WORKERS ?= $(shell n=$$(nproc); echo $$((n > 2 ? n : 2)))

MINUTES ?= 20

# Dead code is found by name. These names are called by click, by asyncio, httptools and gRPC, by commands that are loaded when called, and
# by who writes an adapter; fields of a message and members of an enumeration are all "variables" that nobody reads, so
# only variables without doubt count.
CALLED_BY_OTHERS := list_commands,get_command,format_commands,resolve_command,parse_args,invoke,convert,*Suite,test_*,Signal
CALLED_BY_OTHERS := $(CALLED_BY_OTHERS),completion,show_settings,examples,list_files,stat_task,hash_password
CALLED_BY_OTHERS := $(CALLED_BY_OTHERS),MemoryStorage,connection_made,data_received,get_buffer,buffer_updated,connection_lost,Failpoints,around
CALLED_BY_OTHERS := $(CALLED_BY_OTHERS),on_message_begin,on_url,on_status,on_header,on_headers_complete,on_body,on_message_complete
CALLED_BY_OTHERS := $(CALLED_BY_OTHERS),pause_writing,resume_writing,parse_response
CALLED_BY_OTHERS := $(CALLED_BY_OTHERS),Stamp,initialize,finalize,__call__
CALLED_BY_OTHERS := $(CALLED_BY_OTHERS),intercept_service,CreateTask,GetTask,ListTasks,CancelTask,GetServiceInfo
CALLED_BY_OTHERS := $(CALLED_BY_OTHERS),WriteEvent,ListNodes,GetNode,PutNode,DeleteNode
CALLED_BY_OTHERS := $(CALLED_BY_OTHERS),service_info,__getattr__
CALLED_BY_OTHERS := $(CALLED_BY_OTHERS),worker_token
CALLED_BY_OTHERS := $(CALLED_BY_OTHERS),StartElementHandler,EndElementHandler,CharacterDataHandler
CALLED_BY_OTHERS := $(CALLED_BY_OTHERS),StartDoctypeDeclHandler,buffer_text
# Until nodes come:
CALLED_BY_OTHERS := $(CALLED_BY_OTHERS),of_node

.DEFAULT_GOAL := help
.PHONY: help setup check proto test faults proof demo bench soak lock clean

help: ## say what can be made
	@sed -n 's/^\([a-z]*\):[^#]*## /  make \1\t/p' Makefile

setup: ## make .venv with all that developing takes
	@scripts/venv.sh dev

check: setup ## format, lint, layers, types twice, dead code, docs, lock
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --quiet
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/basedpyright
	! $(BIN)/vulture src scripts bench --exclude wire/gen --ignore-names '$(CALLED_BY_OTHERS)' | grep -v 'unused variable .*60%'
	$(BIN)/python scripts/docs.py --check
	$(BIN)/python scripts/lock.py --check
	$(BIN)/python scripts/proto.py --check

proto: setup ## the code for src/funnel/wire/proto
	$(BIN)/python scripts/proto.py

test: setup ## all tests, with a container engine (started where none answers) and coverage
	@scripts/tools.sh
	@rm -f .coverage .coverage.*
	scripts/engine.sh with test -- $(BIN)/coverage run -m pytest --numprocesses $(WORKERS) --dist loadgroup $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --skip-covered

proof: setup ## the proofs of safety, ten times as long as in the tests, and that time tells nothing
	@scripts/tools.sh
	FUNNEL_PROOF=10 scripts/engine.sh with test -- $(BIN)/python -m pytest tests/security $(ARGS)
	$(BIN)/python -m bench.alike

faults: setup ## the whole proof of what a kill cannot break: each point, each system call
	@scripts/tools.sh
	FUNNEL_FAULTS=all scripts/engine.sh with test -- $(BIN)/python -m pytest tests/faults tests/remote tests/sinks/test_outage.py $(ARGS)

demo: ## a real task in a real container, from nothing; leaves nothing running
	@scripts/demo.sh

bench: setup ## figures, of some parts with ARGS="creates gets"; a whole run writes bench/results.md; never fails
	scripts/engine.sh with test -- $(BIN)/python -m bench $(ARGS)

soak: setup ## a steady mix of work with kills for MINUTES=20: fails where anything grows or stays
	scripts/engine.sh with test -- $(BIN)/python -m bench.soak --minutes $(MINUTES) $(ARGS)

lock: setup ## newest versions that pyproject.toml allows, into requirements/
	$(BIN)/python scripts/lock.py

clean: ## stop the private engine and remove what was made, the images in the cache excepted
	scripts/engine.sh stop
	rm -rf .venv .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
